# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's throwaway hosts: user-mode Linux machines, or containers where those can't be had."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab.base import LabError, Places, run

MOLECULE = Path(__file__).resolve().parents[1]
LAB = "demo"
IMAGE = os.environ.get("MLFLOW_TEST_IMAGE", "selfhosted-mlflow/debian:12")
_NETWORK = "mlflow-demo"


def _lab(*arguments: str) -> None:
    """Run a command of the lab's own, with its progress on the terminal."""
    done = subprocess.run([sys.executable, "-m", "lab", *arguments], check=False)
    if done.returncode:
        raise LabError(f"`python -m lab {' '.join(arguments)}` failed; its messages are above")


class Hosts(Protocol):
    """What the demo needs of its hosts, whatever they are made of."""

    names: tuple[str, ...]
    root: str
    shares: bool

    def up(self) -> None:
        """Install what is needed, and have all hosts up."""

    def down(self) -> None:
        """Remove all that :meth:`up` made."""

    def inventories(self) -> tuple[Path, ...]:
        """Return the inventories that Ansible is given, in order."""

    def shell(self, host: str) -> list[str]:
        """Return the command that opens a shell of root for a person."""

    def remote(self, host: str, command: str) -> list[str]:
        """Return the command that has root's shell on a host run a command."""

    def address(self, host: str) -> str:
        """Return an address at which this machine reaches the host."""


class UmlHosts:
    """Three user-mode Linux machines, each with a kernel of its own, joined by NFS."""

    names: tuple[str, ...] = ("nas", "server", "client")
    root: str = "/mnt/mlflow"
    shares: bool = True

    def up(self) -> None:
        """See :class:`Hosts`."""
        _lab("require", "uml")
        _lab("up", LAB, "--spec", str(MOLECULE / "demo/hosts.yml"))

    def down(self) -> None:
        """See :class:`Hosts`."""
        _lab("down", LAB)

    def _state(self) -> Path:
        return Places.from_environment(os.environ).labs / LAB

    def inventories(self) -> tuple[Path, ...]:
        """See :class:`Hosts`."""
        return (self._state() / "inventory.yml", MOLECULE / "demo/uml.yml")

    def shell(self, host: str) -> list[str]:
        """See :class:`Hosts`."""
        return ["ssh", "-q", "-F", str(self._state() / "ssh_config"), host]

    def remote(self, host: str, command: str) -> list[str]:
        """See :class:`Hosts`."""
        return [*self.shell(host), command]

    def address(self, host: str) -> str:
        """See :class:`Hosts`."""
        answer = run(self.remote(host, "ip -json -4 address show dev eth0"))
        return str(json.loads(answer.stdout)[0]["addr_info"][0]["local"])


class DockerHosts:
    """Two containers with systemd; this machine's kernel may have no NFS, so artifacts are proxied."""

    names: tuple[str, ...] = ("server", "client")
    root: str = "/srv/mlflow/artifacts"
    shares: bool = False

    def up(self) -> None:
        """See :class:`Hosts`."""
        _lab("docker-ready", IMAGE)
        if run(["docker", "network", "inspect", _NETWORK], check=False).returncode:
            run(["docker", "network", "create", _NETWORK])
        for name in self.names:
            self._start(name)

    def _start(self, name: str) -> None:
        container = self._container(name)
        if run(["docker", "start", container], check=False).returncode == 0:
            return
        options = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--cgroupns", "host"]
        mounts = ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs", "/run"]
        names = ["--name", container, "--hostname", name, "--network", _NETWORK, "--network-alias", name]
        run(["docker", "run", "--detach", *options, *mounts, *names, IMAGE, "/sbin/init"], timeout=120)

    def down(self) -> None:
        """See :class:`Hosts`."""
        for name in self.names:
            run(["docker", "rm", "--force", "--volumes", self._container(name)], check=False)
        run(["docker", "network", "rm", _NETWORK], check=False)

    @staticmethod
    def _container(host: str) -> str:
        return f"mlflow-demo-{host}"

    def inventories(self) -> tuple[Path, ...]:
        """See :class:`Hosts`."""
        return (MOLECULE / "demo/docker.yml",)

    def shell(self, host: str) -> list[str]:
        """See :class:`Hosts`."""
        return ["docker", "exec", "--interactive", "--tty", self._container(host), "bash", "--login"]

    def remote(self, host: str, command: str) -> list[str]:
        """See :class:`Hosts`."""
        return ["docker", "exec", "--interactive", self._container(host), "sh", "-c", command]

    def address(self, host: str) -> str:
        """See :class:`Hosts`."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return run(["docker", "inspect", "--format", form, self._container(host)]).stdout.strip()


def choose(kind: str) -> Hosts:
    """Return the hosts of a kind, ``uml`` or ``docker``.

    :raises LabError: there is no such kind.
    """
    kinds: dict[str, type[Hosts]] = {"uml": UmlHosts, "docker": DockerHosts}
    if kind not in kinds:
        raise LabError(f"LAB is {kind!r}; it can be uml (real kernels and NFS) or docker (proxied artifacts)")
    return kinds[kind]()


def execute(hosts: Hosts, host: str, command: Sequence[str], stdin: str = "", timeout: float = 300) -> str:
    """Run a command on a host as root and return what it prints.

    :raises LabError: it failed; the text has its last words.
    """
    argv = hosts.remote(host, shlex.join(command))
    done = subprocess.run(argv, check=False, capture_output=True, text=True, input=stdin, timeout=timeout)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise LabError(f"on {host}, {command[0]} ended with {done.returncode}: {' / '.join(words)}")
    return done.stdout
