# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what a systemd unit's processes hold in memory, as JSON in kB: ``unit_memory.py UNIT``.

Runs on the measured host. PSS counts what processes share only once; RSS counts it for each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_FIELD = re.compile(r"^(Rss|Pss):\s+(\d+) kB$", re.MULTILINE)


def total(rollups: Iterable[str]) -> dict[str, int]:
    """Add up the texts of proc_pid_smaps(5) ``smaps_rollup`` files."""
    sums = {"processes": 0, "rss": 0, "pss": 0}
    for text in rollups:
        sums["processes"] += 1
        for name, number in _FIELD.findall(text):
            sums[name.lower()] += int(number)
    return sums


def rollups(cgroup: Path, proc: Path = Path("/proc")) -> Iterable[str]:
    """Yield the memory of each process of a cgroup and of those below it."""
    for listing in cgroup.rglob("cgroup.procs"):
        for process in listing.read_text().split():
            try:
                yield (proc / process / "smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile


if __name__ == "__main__":
    print(json.dumps(total(rollups(Path("/sys/fs/cgroup/system.slice") / sys.argv[1]))))
