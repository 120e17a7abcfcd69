# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find, start and end the long-lived processes of a lab.

Processes are recognised by an argument only they have (a path below the lab's run directory),
never by a recorded process id: after a crash or a reboot such an id may be anybody's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.base import LabError


def matching(arguments: Sequence[str]) -> list[int]:
    """Return the ids of the processes that have all of `arguments` on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX" and all(argument in command for argument in arguments):
            found.append(int(entry.name))
    return sorted(found)


def kill(arguments: Sequence[str], seconds: float = 10) -> bool:
    """End all matching processes at once, as a power cut would; tell whether there were any."""
    deadline = time.monotonic() + seconds
    any_found = False
    while found := matching(arguments):
        any_found = True
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise LabError(f"processes {found} survive SIGKILL")
        time.sleep(0.05)
    return any_found


def terminate(arguments: Sequence[str], seconds: float) -> bool:
    """Ask all matching processes to end and wait for it; tell whether there were any.

    :raises LabError: they did not end in time.
    """
    found = matching(arguments)
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while matching(arguments):
        if time.monotonic() > deadline:
            raise LabError(f"processes {found} did not end within {seconds:.0f} s")
        time.sleep(0.1)
    return bool(found)


def detach(argv: Sequence[str], log: Path, environment: Mapping[str, str], hold_stdin: bool = False) -> None:
    """Start a process that outlives this one, in a session of its own, with its output in `log`.

    :param hold_stdin: give it a standard input that never ends, instead of an empty one.
    """
    reader, writer = os.pipe()
    try:
        with log.open("ab") as output:
            subprocess.Popen(
                list(argv),
                stdin=reader if hold_stdin else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                # The process holds its input's other end itself, so it never sees the end of it.
                pass_fds=(writer,) if hold_stdin else (),
            )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; `python -m lab require uml` installs what a lab needs") from error
    finally:
        os.close(reader)
        os.close(writer)
