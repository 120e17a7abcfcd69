# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server on one host: how long it takes to start, and what it holds in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.first_install import HOST, PORT, by_hand
from bench.hosts import ROOT, Hosts
from bench.numbers import Measure, summarize
from bench.probe import watching

NAIVE, NAIVE_PORT = "naive", 5001
UNITS = {"mlflow": PORT, NAIVE: NAIVE_PORT}
MEMORY_GOAL = 0.25
IDLE_SECONDS = 30
_START_SECONDS = 300
_OURS, _THEIRS = "our unit", "`mlflow server` as installed by hand with uv"


@dataclass(frozen=True)
class Memory:
    """What a unit's processes hold, in MB of 10^6 bytes."""

    processes: int
    rss: float
    pss: float


def prepare(hosts: Hosts) -> None:
    """Install the alternative beside ours, and stop both."""
    by_hand(hosts, "by_hand.sh", NAIVE, NAIVE_PORT)
    hosts.execute(HOST, f"systemctl stop mlflow {NAIVE}", seconds=120)


def start(hosts: Hosts, unit: str) -> float:
    """Start a unit and return the seconds until its first answer to an API call."""
    with watching(hosts.address(HOST), UNITS[unit]) as answer:
        began = time.monotonic()
        hosts.execute(HOST, f"systemctl start --no-block {unit}")
        return answer.moment(_START_SECONDS) - began


def memory(hosts: Hosts, unit: str) -> Memory:
    """Return what the unit's processes hold."""
    script = (ROOT / "bench/unit_memory.py").read_text()
    found = json.loads(hosts.execute(HOST, f"python3 - {unit}.service", stdin=script))
    return Memory(processes=found["processes"], rss=found["rss"] * 1.024e-3, pss=found["pss"] * 1.024e-3)


def sample(hosts: Hosts, swapped: bool, memories: dict[str, list[Memory]] | None) -> tuple[float, float]:
    """Start and stop both units, one after the other; return the seconds of (ours, theirs).

    :param swapped: theirs first.
    :param memories: where to add what each holds when it has been idle for a while; None to not wait for that.
    """
    seconds = {}
    for unit in reversed(UNITS) if swapped else UNITS:
        seconds[unit] = start(hosts, unit)
        if memories is not None:
            time.sleep(IDLE_SECONDS)
            memories.setdefault(unit, []).append(memory(hosts, unit))
        hosts.execute(HOST, f"systemctl stop {unit}", seconds=120)
    return seconds["mlflow"], seconds[NAIVE]


def measures(starts: Sequence[tuple[float, float]], memories: Mapping[str, Sequence[Memory]]) -> list[Measure]:
    """Compare the times and the memory."""
    held = tuple(zip(memories["mlflow"], memories[NAIVE], strict=True))
    mine, theirs = (summarize([each[side].processes for each in held]).median for side in (0, 1))

    def compare(name: str, what: str, pairs: Sequence[tuple[float, float]]) -> Measure:
        return Measure(
            name=name,
            what=f"{what} of all the unit's processes, idle for {IDLE_SECONDS} s",
            unit="MB",
            ours=_OURS,
            theirs=_THEIRS,
            pairs=tuple(pairs),
            goal=MEMORY_GOAL,
            details={"processes, ours": mine, "processes, theirs": theirs},
        )

    return [
        Measure(
            name="server_start",
            what="`systemctl start` to the first answered API call",
            unit="s",
            ours=_OURS,
            theirs=_THEIRS,
            pairs=tuple(starts),
        ),
        compare("memory_pss", "memory (PSS: shared pages count once)", [(one.pss, other.pss) for one, other in held]),
        compare(
            "memory_rss",
            "memory (RSS: shared pages count in each process)",
            [(one.rss, other.rss) for one, other in held],
        ),
    ]
