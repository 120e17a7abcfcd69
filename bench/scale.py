# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of many clients' artifact path, against a ping of the very same hosts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.hosts import ROOT, Hosts
from bench.no_change import variables
from bench.numbers import Measure, summarize
from bench.recap import recaps, trips
from bench.usage import Usage
from lab.base import LabError

VERIFY = ROOT / "playbooks/verify.yml"
SERVER, CLIENT = "server", "client"
PATTERN = "mlflow_clients:mlflow_server"
GOAL = 3.0
#: All clients are one host under many names, and so share one connection: fewer than sshd's MaxSessions, which is 10.
FORKS = 8
_DELEGATED = re.compile(rf"^(?:ok|changed): \[[^] ]+ -> {SERVER}(?:\([^)]*\))?\]", re.MULTILINE)
_PROVED = re.compile(r"^(?P<host>\S+) +\S+ +proved(?:  .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One run of each, ours and ping, on the same hosts.

    :ivar server_tasks: ours: tasks that were done on the server, on behalf of all clients.
    :ivar client_tasks: ours: tasks that Ansible looked at for each client, and how many of them it skipped, in words.
    """

    ours: Usage
    ping: Usage
    server_tasks: int
    client_tasks: str


def names(clients: int) -> list[str]:
    """Return the names of that many clients."""
    return [f"{CLIENT}-{number:03}" for number in range(1, clients + 1)]


def inventory(hosts: Hosts, clients: int) -> Path:
    """Write an inventory in which one host is as many clients."""
    groups = {"mlflow_server": [SERVER], "mlflow_clients": names(clients)}
    return hosts.inventory(groups, variables(), dict.fromkeys(names(clients), CLIENT))


def verify(hosts: Hosts, clients: int, *options: str) -> Usage:
    """Prove the path of that many clients.

    :raises LabError: it failed.
    """
    arguments = ("--inventory", str(inventory(hosts, clients)), "--forks", str(FORKS), *options, str(VERIFY))
    return hosts.ansible("playbook", *arguments)


def ping(hosts: Hosts, clients: int) -> Usage:
    """Ping the same hosts."""
    arguments = ("--inventory", str(inventory(hosts, clients)), "--forks", str(FORKS), "--module-name", "ping")
    return hosts.ansible("adhoc", *arguments, PATTERN)


def trips_to_hosts(hosts: Hosts) -> str:
    """Say how often each of two clients and the server are gone to.

    The time of this run doesn't count, because it talks so much. It makes the connections, too.
    """
    output = verify(hosts, 2, "-vvv").output
    went = trips(output, {name: hosts.address(name) for name in (SERVER, CLIENT)})
    return f"{went[CLIENT].calls / 2:g} to each client, {went[SERVER].calls} to the server in all"


def sample(hosts: Hosts, clients: int, swapped: bool) -> Sample:
    """Run both, one after the other.

    :param swapped: ping first.
    """
    if swapped:
        pinged = ping(hosts, clients)
        proved = verify(hosts, clients)
    else:
        proved = verify(hosts, clients)
        pinged = ping(hosts, clients)
    return judge(clients, proved, pinged)


def judge(clients: int, ours: Usage, pinged: Usage) -> Sample:
    """Read from the output what was done.

    :raises LabError: a client wasn't proved, or not all clients were treated alike.
    """
    expected = set(names(clients))
    proved = {match["host"] for match in _PROVED.finditer(ours.output)}
    if expected - proved:
        raise LabError(f"verify.yml proved {len(expected & proved)} of {clients} clients")
    if pinged.output.count("pong") != clients + 1:
        raise LabError(f"{pinged.output.count('pong')} of {clients + 1} hosts answered the ping")
    found = recaps(ours.output)
    # Of a task for all hosts the first one has the result.
    kinds = {f"{found[name].tasks} tasks, {found[name].skipped} of them skipped" for name in names(clients)[1:]}
    if len(kinds) > 1:
        raise LabError(f"the clients were not treated alike: {', '.join(sorted(kinds))}")
    return Sample(ours, pinged, len(_DELEGATED.findall(ours.output)), kinds.pop() if kinds else "")


def check_constant(found: Mapping[int, Sequence[Sample]]) -> int:
    """Return how many tasks were done on the server, for however many clients.

    :param found: number of clients -> its samples.
    :raises LabError: more clients made more of them.
    """
    seen = {clients: sorted({each.server_tasks for each in samples}) for clients, samples in found.items()}
    numbers = {number for each in seen.values() for number in each}
    if len(numbers) != 1 or 0 in numbers:
        told = ", ".join(f"{each} for {clients}" for clients, each in seen.items())
        raise LabError(f"the server's tasks are not constant in the number of clients: {told}")
    return numbers.pop()


def measures(found: Mapping[int, Sequence[Sample]], went: str) -> list[Measure]:
    """Compare the times, one measure for each number of clients."""
    constant = check_constant(found)
    return [_measure(clients, samples, constant, went) for clients, samples in found.items()]


def _measure(clients: int, samples: Sequence[Sample], constant: int, went: str) -> Measure:
    details: dict[str, float | str] = {
        "tasks on the server": constant,
        "calls of ssh": went,
        "memory of the controller's largest process, verify.yml, MB": _memory([each.ours for each in samples]),
        "memory of the controller's largest process, ping, MB": _memory([each.ping for each in samples]),
    }
    if samples[0].client_tasks:
        details["each client"] = samples[0].client_tasks
    return Measure(
        name=f"scale_{clients}",
        what=f"proof of the artifact path of {clients} client{'s' * (clients > 1)}",
        unit="s",
        ours="verify.yml",
        theirs="`ansible -m ping` on the same hosts",
        pairs=tuple((each.ours.seconds, each.ping.seconds) for each in samples),
        goal=GOAL,
        details=details,
    )


def _memory(usages: Sequence[Usage]) -> float:
    return summarize([each.largest_mb for each in usages]).median
