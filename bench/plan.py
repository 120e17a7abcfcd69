# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done in a run, in which order, and about how long each step takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from bench import first_install, no_change, scale, server_start
from bench.first_install import HOST, Install
from bench.hosts import Hosts
from bench.numbers import Measure
from bench.recap import Recap, Trips

PARTS = ("install", "server", "no-change", "scale")

#: What a proof and a ping take on two cores, together: in any case, and for each client.
_PROOF_SECONDS = 12.0
_CLIENT_SECONDS = 1.3


@dataclass(frozen=True)
class Effort:
    """How often each thing is measured.

    :ivar rounds: first installs, each in every way on a fresh host.
    :ivar starts: starts of each server.
    :ivar memories: with how many of the starts the memory is measured, too.
    :ivar runs: runs of each playbook.
    :ivar clients: number of clients -> how often their path is proved.
    """

    rounds: int = 2
    starts: int = 3
    memories: int = 1
    runs: int = 5
    clients: Mapping[int, int] = field(default_factory=lambda: {1: 3, 10: 3, 100: 2, 300: 1})


QUICK = Effort(rounds=1, starts=1, memories=1, runs=1, clients={1: 1, 10: 1})


@dataclass(frozen=True)
class Step:
    """A part of the run, with the seconds it takes on two cores."""

    what: str
    seconds: float
    action: Callable[[], None]


class Session:
    """Collects what the steps find."""

    def __init__(self, hosts: Hosts, effort: Effort) -> None:
        self._hosts = hosts
        self._effort = effort
        self._installs: dict[str, list[Install]] = {way: [] for way in first_install.WAYS}
        self._starts: list[tuple[float, float]] = []
        self._memories: dict[str, list[server_start.Memory]] = {}
        self._runs: list[tuple[float, float]] = []
        self._inventory = Path()
        self._recaps: dict[str, Recap] = {}
        self._trips: dict[str, Trips] = {}
        self._proofs: dict[int, list[scale.Sample]] = {}
        self._proof_trips = ""
        self.versions = {"ansible-core": version("ansible-core")}

    def steps(self, parts: tuple[str, ...]) -> list[Step]:
        """Return what is to be done for these of PARTS."""
        steps = []
        if "install" in parts or "server" in parts:
            steps.append(Step("have one host up", 10, lambda: self._hosts.up(HOST)))
        if "install" in parts:
            steps += self._install_steps()
        elif "server" in parts:
            steps.append(Step("install with site.yml on a fresh host", 65, lambda: self._install(first_install.OURS)))
        if "server" in parts:
            steps += self._server_steps()
        if "no-change" in parts or "scale" in parts:
            steps += [
                Step("have nas, server and client up", 15, lambda: self._hosts.up(*no_change.NAMES)),
                Step("deploy on them with site.yml", 90, self._deploy),
            ]
        if "no-change" in parts:
            steps += self._no_change_steps()
        if "scale" in parts:
            steps += self._scale_steps()
        return steps

    def _install_steps(self) -> list[Step]:
        seconds = {first_install.OURS: 65.0, first_install.UV: 85.0, first_install.PIP: 110.0}

        def step(number: int, way: str) -> Step:
            what = f"first install {number + 1}/{self._effort.rounds} on a fresh host: {way}"
            return Step(what, seconds[way], lambda: self._install(way))

        return [step(number, way) for number, way in first_install.order(self._effort.rounds)]

    def _install(self, way: str) -> None:
        self._hosts.renew(HOST)
        self._installs[way].append(first_install.install(self._hosts, way))

    def _server_steps(self) -> list[Step]:
        def step(number: int) -> Step:
            weighed = number >= self._effort.starts - self._effort.memories
            what = f"start each server, {number + 1}/{self._effort.starts}{', and weigh it' if weighed else ''}"
            seconds = 50.0 + 2 * server_start.IDLE_SECONDS * weighed
            return Step(what, seconds, lambda: self._start(number, weighed))

        prepare = Step("install by hand beside ours", 75, lambda: server_start.prepare(self._hosts))
        return [prepare, *(step(number) for number in range(self._effort.starts))]

    def _start(self, number: int, weighed: bool) -> None:
        memories = self._memories if weighed else None
        self._starts.append(server_start.sample(self._hosts, number % 2 == 1, memories))
        self._note_versions(HOST)

    def _no_change_steps(self) -> list[Step]:
        def step(number: int) -> Step:
            return Step(f"run each playbook, {number + 1}/{self._effort.runs}", 25, lambda: self._run(number))

        return [
            Step("count the tasks of a run that changes nothing", 25, self._count),
            *(step(number) for number in range(self._effort.runs)),
        ]

    def _deploy(self) -> None:
        self._inventory = no_change.deploy(self._hosts)
        self._note_versions("server")

    def _count(self) -> None:
        self._recaps, self._trips = no_change.count(self._hosts, self._inventory)

    def _run(self, number: int) -> None:
        self._runs.append(no_change.sample(self._hosts, self._inventory, number % 2 == 1))

    def _scale_steps(self) -> list[Step]:
        def step(clients: int, number: int) -> Step:
            what = f"prove the path of {clients} clients and ping them, {number + 1}/{self._effort.clients[clients]}"
            seconds = _PROOF_SECONDS + clients * _CLIENT_SECONDS
            return Step(what, seconds, lambda: self._prove(clients, number))

        rounds = [(clients, number) for clients, times in self._effort.clients.items() for number in range(times)]
        return [
            Step("count the trips of a proof", _PROOF_SECONDS, self._count_trips),
            *(step(clients, number) for clients, number in rounds),
        ]

    def _count_trips(self) -> None:
        self._proof_trips = scale.trips_to_hosts(self._hosts)

    def _prove(self, clients: int, number: int) -> None:
        found = scale.sample(self._hosts, clients, number % 2 == 1)
        self._proofs.setdefault(clients, []).append(found)
        scale.check_constant(self._proofs)

    def _note_versions(self, name: str) -> None:
        script = "import mlflow, sys; print(mlflow.__version__, sys.version.split()[0])"
        words = self._hosts.execute(
            name, f"/opt/mlflow/current/bin/python -c '{script}' && cat /etc/debian_version && uname -r"
        ).split()
        self.versions |= dict(zip(("MLflow", "Python", "Debian", "kernel"), words, strict=True))

    def measures(self) -> list[Measure]:
        """Return what was found."""
        found: list[Measure] = []
        if self._installs[first_install.UV]:
            found += first_install.measures(self._installs)
        if self._starts:
            found += server_start.measures(self._starts, self._memories)
        if self._runs:
            found.append(no_change.measure(self._runs, self._recaps, self._trips))
        if self._proofs:
            found += scale.measures(self._proofs, self._proof_trips)
        return found


def carry_out(steps: list[Step], say: Callable[[str], None]) -> None:
    """Do all steps, and say before each what it is and how long the rest takes."""
    began = time.monotonic()
    for number, step in enumerate(steps):
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        left = sum(later.seconds for later in steps[number:])
        say(f"[{minutes}:{seconds:02}] {number + 1}/{len(steps)} {step.what} (about {left / 60:.0f} min to go)")
        step.action()
