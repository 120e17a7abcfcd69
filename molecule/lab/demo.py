# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole job on throwaway hosts: ``python -m lab.demo up|down|ssh HOST``.

Deploys with playbooks/site.yml, then proves the result as a user of the client would.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.base import LabError, Places, private_directory
from lab.demo_hosts import LAB, MOLECULE, Hosts, choose, execute
from lab.outcomes import prove_run

_PORT = 5000
_MEGABYTES = 4
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


_PROGRESS = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[(.+)\] \**$")


@dataclass(frozen=True)
class Step:
    """A part of the demo, with the seconds it took here on two cores on the first and on a later run."""

    title: str
    cold: int
    warm: int
    action: Callable[[], None]


def changed_hosts(output: str) -> dict[str, int]:
    """Return how many tasks changed each host, from the recap of ansible-playbook.

    :raises LabError: there is no recap.
    """
    recap = {match[1]: int(match[2]) for match in _RECAP.finditer(output)}
    if not recap:
        raise LabError("ansible-playbook ended without a recap")
    return recap


def progress_line(line: str) -> str:
    """Return what a line of ansible-playbook's output tells a person who waits, '' for most."""
    match = _PROGRESS.match(line)
    if match is None or "Validating arguments" in line:
        return ""
    return match[2].removeprefix("selfhosted.mlflow.") if match[1] != "PLAY" else f"{match[2]}:"


def why_ansible_failed(output: str) -> str:
    """Return the first failure that ansible-playbook shows, shortened for a line."""
    for line in output.splitlines():
        if line.startswith(("fatal:", "ERROR", "[ERROR]", "failed:")):
            return line[:300]
    return "ansible-playbook failed"


class Demo:
    """The steps, what they find out, and how far they are."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts
        self._start = time.monotonic()
        self._report: dict[str, str] = {}
        self._log = private_directory(Places.from_environment(os.environ).state) / "demo.log"
        self._url = ""
        self._warm = all(path.exists() for path in hosts.inventories()) and "docker" not in type(hosts).__name__.lower()

    def _say(self, message: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        print(f"[{minutes}:{seconds:02}] {message}", flush=True)

    def _play(self, *playbooks: Path) -> str:
        """Run playbooks with the demo's inventory, show each task, and return all output."""
        inventories = [word for path in self._hosts.inventories() for word in ("--inventory", str(path))]
        command = ["ansible-playbook", *inventories, *map(str, playbooks)]
        lines = []
        with (
            self._log.open("a") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process,
        ):
            for line in process.stdout or ():
                lines.append(line)
                log.write(line)
                if shown := progress_line(line):
                    self._say(f"    {shown}")
        output = "".join(lines)
        if process.returncode:
            print(output[-6000:])
            raise LabError(f"{why_ansible_failed(output)} (all output: {self._log})")
        return output

    def _prepare(self) -> None:
        self._hosts.up()

    def _deploy(self) -> None:
        self._play(MOLECULE / "shared/people.yml", MOLECULE.parent / "playbooks/site.yml")
        self._url = f"http://{self._hosts.address('server')}:{_PORT}"

    def _prove(self) -> None:
        script = (MOLECULE / "shared/log_run.py").read_text()
        as_alice = ["runuser", "--login", "alice", "--command"]
        python = f"/opt/mlflow-client/current/bin/python - demo {_MEGABYTES}"
        logged = json.loads(execute(self._hosts, "client", [*as_alice, python], script).splitlines()[-1])
        self._say(f"    alice logged run {logged['run_id']} to {logged['artifact_uri']}")
        self._report["proof"] = "by alice on client, " + prove_run(
            logged, self._url, self._hosts.root, lambda command: execute(self._hosts, "server", command)
        )

    def _repeat(self) -> None:
        changed = changed_hosts(self._play(MOLECULE.parent / "playbooks/site.yml"))
        if any(changed.values()):
            raise LabError(f"a second run of site.yml changed something: {changed} (all output: {self._log})")
        self._report["second run"] = "changed=0 on " + ", ".join(changed)

    def _describe(self) -> None:
        on = self._hosts
        mount = "none: artifacts go through the server"
        if on.shares:
            looked = execute(on, "client", ["findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", on.root])
            mount = f"{on.root} on client is {' '.join(looked.split())}"
        script = "import mlflow, sys; print(mlflow.__version__, sys.version.split()[0])"
        mlflow, python = execute(on, "server", ["/opt/mlflow/current/bin/python", "-c", script]).split()
        kernel = execute(on, "server", ["uname", "-r"]).strip()
        system = execute(on, "server", ["sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"]).strip()
        ansible = subprocess.run(["ansible", "--version"], check=True, capture_output=True, text=True)
        core = ansible.stdout.splitlines()[0]
        self._report |= {
            "tracking URL": f"{self._url} from this machine, http://server:{_PORT} on the hosts",
            "mount": mount,
            "versions": f"MLflow {mlflow}, Python {python}, {core}, {system}, kernel {kernel}",
        }

    def run(self) -> None:
        """Do all steps and print the report.

        :raises LabError: a step failed.
        """
        steps = (
            Step("Have the hosts up (image, network, boot)", 45, 5, self._prepare),
            Step("Deploy with playbooks/site.yml", 155, 25, self._deploy),
            Step("Log a run as alice on client, ask the server for it, compare sha256", 5, 5, self._prove),
            Step("Run site.yml again: nothing may change", 20, 20, self._repeat),
            Step("Look at what is there", 5, 5, self._describe),
        )
        self._log.write_text("")
        times = []
        for number, step in enumerate(steps, start=1):
            left = sum(later.warm if self._warm else later.cold for later in steps[number - 1 :])
            self._say(f"{number}/{len(steps)} {step.title} (about {left} s to go)")
            began = time.monotonic()
            step.action()
            times.append(f"{step.title.split()[0].lower()} {time.monotonic() - began:.0f} s")
        self._report["times"] = ", ".join(times)
        print()
        for name in ("tracking URL", "mount", "versions", "proof", "second run", "times"):
            print(f"{name + ':':14}{self._report[name]}")
        print(f"demo: ok in {time.monotonic() - self._start:.0f} s")


def main(arguments: list[str]) -> int:
    """Carry out one command and return the exit status."""
    parser = argparse.ArgumentParser(prog="lab.demo", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "ssh"])
    parser.add_argument("host", nargs="?", default="server")
    parser.add_argument("--lab", default="uml", help="uml (default) or docker")
    options = parser.parse_args(arguments)
    try:
        hosts = choose(options.lab)
        if options.command == "up":
            Demo(hosts).run()
        elif options.command == "down":
            hosts.down()
            print(f"demo: the hosts of {LAB} are gone")
        elif options.host not in hosts.names:
            raise LabError(f"there is no host {options.host!r}; HOST can be {', '.join(hosts.names)}")
        else:
            return subprocess.run(hosts.shell(options.host), check=False).returncode
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"demo: failed: {' '.join(str(error).split())}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
