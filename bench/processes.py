# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process and its descendants take while something is done, by proc(5)."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
#: Makes the peak that VmHWM tells begin anew; wants the processes' owner, or root.
_FORGET_PEAK = "5"


@dataclass(frozen=True)
class Took:
    """Seconds of CPU, and the sum of the most memory (RSS) that each process held, in MB of 10^6 bytes."""

    cpu: float
    peak_mb: float


def tree(root: int) -> list[int]:
    """Return a process and its descendants."""
    found = [root]
    for process in found:
        for listing in (_PROC / str(process) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in listing.read_text().split() if int(child) not in found]
    return found


def cpu(stat: str) -> float:
    """Return the seconds of CPU of a process, and of its children that have ended, by proc_pid_stat(5)."""
    # The name, in brackets, may have blanks and brackets in it.
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def peak_mb(status: str) -> float:
    """Return the most memory that a process held, by proc_pid_status(5)."""
    found = _PEAK.search(status)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


class Watch:
    """Begins to count when it is made."""

    def __init__(self, root: int) -> None:
        self._root = root
        for process in tree(root):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                (_PROC / str(process) / "clear_refs").write_text(_FORGET_PEAK)
        self._before = self._cpu()

    def _cpu(self) -> float:
        return sum(cpu(text) for text in self._texts("stat"))

    def _texts(self, name: str) -> list[str]:
        texts = []
        for process in tree(self._root):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                texts.append((_PROC / str(process) / name).read_text())
        return texts

    def took(self) -> Took:
        """Return what was taken since."""
        return Took(self._cpu() - self._before, sum(map(peak_mb, self._texts("status"))))
