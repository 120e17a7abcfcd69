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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.base import LabError


def _living() -> Iterator[tuple[int, Path]]:
    """Yield the id and the /proc directory of every process that is no zombie."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                yield int(entry.name), entry


def _command(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def matching(arguments: Sequence[str]) -> list[int]:
    """Return the ids of the processes that have all of `arguments` on their command line."""
    return sorted(number for number, entry in _living() if set(arguments) <= set(_command(entry)))


def told(entry: str) -> list[int]:
    """Return the ids of the processes that have `entry`, as in NAME=value, in the environment they were started with.

    Their descendants have it, too, in whichever session: as long as none takes it away.
    """
    found = []
    for number, process in _living():
        with contextlib.suppress(OSError):
            if entry.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(number)
    return sorted(found)


def below(directory: Path) -> list[int]:
    """Return the ids of the processes that have their root in `directory` or were told of it."""
    found = []
    for number, entry in _living():
        try:
            root = (entry / "root").readlink()
        except OSError:
            root = Path("/")
        if root.is_relative_to(directory) or any(str(directory) in word for word in _command(entry)):
            found.append(number)
    return sorted(found)


def kill(find: Callable[[], Sequence[int]], seconds: float = 10) -> bool:
    """End all processes that `find` finds, at once; tell whether there were any.

    :raises LabError: some are still there after `seconds`.
    """
    deadline = time.monotonic() + seconds
    any_found = False
    while found := find():
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
        with log.open("ab") as output, open(os.devnull, "rb") as nothing:
            # It holds the other end of its input itself, so it never sees the end of it.
            os.set_inheritable(writer, hold_stdin)
            sources = (reader if hold_stdin else nothing.fileno(), output.fileno(), output.fileno())
            actions = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate(sources)]
            os.posix_spawnp(argv[0], list(argv), dict(environment), file_actions=actions, setsid=True)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; `python -m lab require` installs what is missing") from error
    finally:
        os.close(reader)
        os.close(writer)
