# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command takes: its time, and its memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MB = 1e6
_MAXRSS_BYTES = 1024  # getrusage(2) on Linux


@dataclass(frozen=True)
class Usage:
    """A command that has ended.

    :ivar status: its exit status, negative when a signal ended it.
    :ivar output: what it printed, errors too.
    :ivar seconds: from start to end.
    :ivar largest_mb: the most memory that one of its processes held at any time (RSS), in MB of 10^6 bytes:
        of itself or of its descendants that were waited for. Not a sum.
    :ivar late: whether it was killed because its time was over.
    """

    status: int
    output: str
    seconds: float
    largest_mb: float
    late: bool = False


def run(argv: Sequence[str], seconds: float, environment: Mapping[str, str]) -> Usage:
    """Run a command to its end, or for that many seconds.

    :raises OSError: it can't be started.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environment)
        )
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            # Popen's own way of waiting doesn't tell what this one child has used.
            _pid, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
        took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Usage(process.returncode, output.read(), took, used.ru_maxrss * _MAXRSS_BYTES / _MB, late.is_set())
