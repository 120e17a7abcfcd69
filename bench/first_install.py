# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First install: from a bare host to an MLflow server that answers its API."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.hosts import ROOT, SITE, Hosts
from bench.numbers import Measure, summarize
from bench.probe import watching
from lab.base import LabError

HOST, PORT = "solo", 5000
OURS, UV, PIP = "site.yml", "by hand, uv", "by hand, pip"
WAYS = (OURS, UV, PIP)
GOAL = 1.5
_INSTALL_SECONDS = 900
_ANSWER_SECONDS = 120


@dataclass(frozen=True)
class Install:
    """One first install.

    :ivar seconds: until its command had ended and the API answered.
    :ivar start_seconds: the part of it from the server's start to its first answer.
    :ivar bytecode_files: how many modules it left compiled.
    """

    seconds: float
    start_seconds: float
    bytecode_files: int


def by_hand(hosts: Hosts, script: str, name: str = "mlflow", port: int = PORT) -> None:
    """Have a script's commands typed on the host, for a service of that name."""
    text = (ROOT / "bench" / script).read_text()
    hosts.execute(HOST, f"env NAME={name} PORT={port} bash -s", stdin=text, seconds=_INSTALL_SECONDS)


def ours(hosts: Hosts) -> None:
    """Deploy a server and nothing else, with no input but the host."""
    inventory = hosts.inventory({"mlflow_server": [HOST]}, {})
    hosts.play(SITE, inventory, seconds=_INSTALL_SECONDS)


def install(hosts: Hosts, way: str) -> Install:
    """Install on the host, which must be fresh, in one of WAYS."""
    actions: dict[str, Callable[[], None]] = {
        OURS: lambda: ours(hosts),
        UV: lambda: by_hand(hosts, "by_hand.sh"),
        PIP: lambda: by_hand(hosts, "by_hand_pip.sh"),
    }
    with watching(hosts.address(HOST), PORT) as answer:
        began = time.monotonic()
        actions[way]()
        ended = time.monotonic()
        answered = answer.moment(_ANSWER_SECONDS)
    return Install(
        seconds=max(ended, answered) - began,
        start_seconds=answered - _started(hosts),
        bytecode_files=int(hosts.execute(HOST, "find /opt/mlflow/ -name '*.pyc' | wc -l")),
    )


def _started(hosts: Hosts) -> float:
    """Return when the server's process was started, by this machine's time.monotonic()."""
    show = "systemctl show --value --property ExecMainStartTimestampMonotonic mlflow.service"
    since_boot, started = hosts.execute(HOST, f"cut -d' ' -f1 /proc/uptime && {show}").split()
    if started == "0":
        raise LabError("mlflow.service was never started")
    return time.monotonic() - (float(since_boot) - int(started) / 1e6)


def order(rounds: int) -> list[tuple[int, str]]:
    """Return (round, way) in the order of measuring: each round turns the order around.

    Ours comes last of all: the measures that follow need it on the host.
    """
    turns = [WAYS if (rounds - number) % 2 == 0 else tuple(reversed(WAYS)) for number in range(rounds)]
    return [(number, way) for number, ways in enumerate(turns) for way in ways]


def measures(found: Mapping[str, Sequence[Install]]) -> list[Measure]:
    """Compare ours with each of the others.

    :param found: way -> its installs, round by round.
    """
    return [
        _compare("first_install_uv", found[OURS], UV, found[UV], GOAL),
        _compare("first_install_pip", found[OURS], PIP, found[PIP], None),
    ]


def _compare(name: str, mine: Sequence[Install], way: str, theirs: Sequence[Install], goal: float | None) -> Measure:
    details: dict[str, float | str] = {}
    for label, installs in ((OURS, mine), (way, theirs)):
        details[f"{label}: of that, from the server's start to its first answer, s"] = summarize(
            [each.start_seconds for each in installs]
        ).median
        details[f"{label}: modules left compiled to bytecode"] = summarize(
            [each.bytecode_files for each in installs]
        ).median
    pairs = tuple(zip(mine, theirs, strict=True))
    details["ratio of the rest, without the server's start"] = summarize(
        [(one.seconds - one.start_seconds) / (other.seconds - other.start_seconds) for one, other in pairs]
    ).median
    return Measure(
        name=name,
        what="first install on a bare host, until the API answers",
        unit="s",
        ours=OURS,
        theirs=way,
        pairs=tuple((one.seconds, other.seconds) for one, other in pairs),
        goal=goal,
        details=details,
    )
