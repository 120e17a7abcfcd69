# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab that is measured on: its hosts, commands on them, and playbooks for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from bench import usage
from lab import host, inventory, operations, requirements, spec
from lab.base import LabError, Places, Progress, digest, private_directory, write_atomically
from lab.state import Lab

ROOT = Path(__file__).resolve().parents[1]
LAB = "bench"
SITE = ROOT / "playbooks/site.yml"


class Hosts:
    """The lab's hosts, as far as they are up."""

    def __init__(self, progress: Progress) -> None:
        source = ROOT / "bench/hosts.yml"
        self._specs = spec.parse(source.read_text(), source.name)
        self._places = Places.from_environment(os.environ)
        self._progress = progress
        self._lab: Lab | None = None
        self._log = private_directory(self._places.state) / "bench.log"

    @property
    def lab(self) -> Lab:
        """The lab; None of it exists before :meth:`up`."""
        if self._lab is None:
            raise LabError(f"lab {LAB} is not up")
        return self._lab

    def up(self, *names: str) -> None:
        """Have these hosts up, and no others."""
        requirements.require(self._places, "uml", self._progress)
        chosen = [known for known in self._specs if known.name in names]
        self._lab = operations.up(self._places, LAB, chosen, self._progress)

    def down(self) -> None:
        """Remove all of them."""
        operations.down(self._places, LAB, self._progress)

    def renew(self, name: str) -> None:
        """Give a host an empty disk, as a fresh install has it, with today's package lists."""
        operations.power_cut(self._places, LAB, name, self._progress)
        (self.lab.directory / f"{name}.cow").unlink(missing_ok=True)
        operations.start(self._places, LAB, name, self._progress)
        self.refresh(name)

    def refresh(self, name: str) -> None:
        """Fetch the package lists, so that nobody's measured time depends on how old the image is."""
        self.execute(name, "apt-get --quiet update", seconds=120)

    def address(self, name: str) -> str:
        """Return a host's IPv4 address."""
        return self.lab.host(name).address

    def execute(self, name: str, command: str, stdin: str = "", seconds: float = 60) -> str:
        """Run a shell command on a host as root and return what it prints.

        :raises LabError: it failed, or took longer than `seconds`.
        """
        argv = [*host.ssh_command(self.lab), self.lab.host(name).name, command]
        return self._run(argv, f"on {name}, {command}", seconds, stdin)

    def inventory(
        self,
        groups: Mapping[str, Sequence[str]],
        variables: Mapping[str, object],
        aliases: Mapping[str, str] | None = None,
    ) -> Path:
        """Write an inventory with these groups of hosts, and variables for all; return its path.

        :param aliases: further names -> the host each of them stands for.
        """
        names = sorted({name for members in groups.values() for name in members})
        real = {name: (aliases or {}).get(name, name) for name in names}
        content = {
            "all": {
                "vars": dict(variables),
                "hosts": {name: inventory.connection(self.lab, real[name]) for name in names},
                "children": {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()},
            }
        }
        path = self.lab.directory / f"measured-{digest(' '.join(names))}.yml"
        write_atomically(path, yaml.safe_dump(content, sort_keys=False))
        return path

    def play(self, playbook: Path, inventory_file: Path, *options: str, seconds: float = 900) -> str:
        """Run a playbook and return its output.

        :raises LabError: it failed, or took longer than `seconds`.
        """
        argv = [
            sys.executable,
            "-m",
            "ansible",
            "playbook",
            "--inventory",
            str(inventory_file),
            *options,
            str(playbook),
        ]
        return self._run(argv, playbook.name, seconds)

    def ansible(self, program: str, *arguments: str, seconds: float = 1800) -> usage.Usage:
        """Run one of Ansible's programs, ``playbook`` or ``adhoc``, and return what it took.

        :raises LabError: it failed, or took longer than `seconds`.
        """
        done = usage.run([sys.executable, "-m", "ansible", program, *arguments], seconds, _environment())
        if done.late:
            raise LabError(f"{program} {arguments[-1]}: no end after {seconds:.0f} s")
        if done.status:
            self._log.write_text(done.output)
            words = done.output.strip()[-2000:]
            raise LabError(f"{program} {arguments[-1]}: ended with {done.status}: {words}\n(all output: {self._log})")
        return done

    def _run(self, argv: Sequence[str], what: str, seconds: float, stdin: str = "") -> str:
        try:
            done = subprocess.run(
                argv, check=False, capture_output=True, text=True, input=stdin, timeout=seconds, env=_environment()
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{what}: no end after {seconds:.0f} s") from error
        if done.returncode:
            words = done.stdout + done.stderr
            self._log.write_text(words)
            raise LabError(f"{what}: ended with {done.returncode}: {words.strip()[-2000:]}\n(all output: {self._log})")
        return done.stdout


def _environment() -> dict[str, str]:
    """Return the environment for ansible-playbook: this collection, and output that can be read back."""
    return {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/collections"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    }


class Stopwatch:
    """Says how many seconds a block took."""

    def __enter__(self) -> Stopwatch:
        self.began = time.monotonic()
        self.seconds = 0.0
        return self

    def __exit__(self, *_error: object) -> None:
        self.seconds = time.monotonic() - self.began
