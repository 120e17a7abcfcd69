# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that may never return, done in a child that can be given up.

A system call on a dead NFS server ignores SIGALRM, and waiting for a killed
subprocess waits with it.  So a forked child does the work and tells its result
through a pipe; the parent looks at the clock.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

_REAP_SECONDS = 1.0


class NoAnswerError(Exception):
    """The work was not done in time; ``state`` is where the kernel held it."""

    def __init__(self, seconds: float, state: str) -> None:
        super().__init__(f"no answer within {seconds:g} s ({state})")
        self.seconds = seconds
        self.state = state


@dataclass(frozen=True)
class Identity:
    """Whom to do the work as: numeric ids, so the names need not exist yet."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def assume(self) -> None:
        """Become this identity for good.  Raises OSError without the right to."""
        os.setgroups(self.groups)
        os.setgid(self.gid)
        os.setuid(self.uid)


def _detach() -> None:
    # An abandoned child must hold neither ssh's pipes nor a directory.
    os.setsid()
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


def _outcome(work: Callable[[], Any], identity: Optional[Identity]) -> dict[str, Any]:
    try:
        _detach()
        if identity is not None:
            identity.assume()
        return {"value": work()}
    except OSError as error:
        return {"oserror": [error.errno, error.strerror, error.filename]}
    except ValueError as error:
        return {"valueerror": str(error)}


def _value(outcome: dict[str, Any]) -> Any:
    if "oserror" in outcome:
        raise OSError(*outcome["oserror"])
    if "valueerror" in outcome:
        raise ValueError(outcome["valueerror"])
    return outcome["value"]


def _state(pid: int) -> str:
    """Return how the kernel holds a process, such as ``D rpc_wait_bit_killable``."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            state = stream.read().rpartition(")")[2].split()[0]
        with open(f"/proc/{pid}/wchan", encoding="utf-8") as stream:
            return f"{state} {stream.read()}"
    except (OSError, IndexError):
        return "state unknown"


def _reap(pid: int) -> None:
    deadline = time.monotonic() + _REAP_SECONDS
    while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.02)


def run(work: Callable[[], Any], seconds: float, identity: Optional[Identity] = None) -> Any:
    """Do ``work`` in a child, as ``identity`` when given, and return its result.

    The result must be what JSON can carry.  Raises the OSError or ValueError
    that the work raised, or NoAnswerError after ``seconds``; the child is then killed and, when
    even that has to wait for the server, left behind.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "w", encoding="utf-8") as stream:
                json.dump(_outcome(work, identity), stream)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        received = _receive(reading, pid, seconds)
    finally:
        os.close(reading)
        _reap(pid)
    if not received:
        raise NoAnswerError(seconds, "the child ended without a result")
    return _value(json.loads(received))


def _receive(pipe: int, pid: int, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    received = bytearray()
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(pipe, 65536)
        if not chunk:
            return bytes(received)
        received += chunk
    state = _state(pid)
    os.kill(pid, signal.SIGKILL)
    raise NoAnswerError(seconds, state)
