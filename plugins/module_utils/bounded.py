# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that may never return, done in a child that can be given up.

A system call on a dead NFS server ignores SIGALRM, and waiting for a killed
subprocess waits with it.  So a forked child does the work and tells its result
through a pipe, and on the way what it has seen; the parent looks at the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

_REAP_SECONDS = 1.0

#: Hands on what a piece of work has seen so far, in case it never ends.
Tell = Callable[[Mapping[str, Any]], None]


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


def _detach(root: Optional[int]) -> None:
    # An abandoned child must hold neither ssh's pipes nor a directory.
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if root is not None:
        os.fchdir(root)
        os.chroot(".")
    os.chdir("/")


def _outcome(work: Callable[[], Any], identity: Optional[Identity], root: Optional[int]) -> dict[str, Any]:
    try:
        _detach(root)
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


class Child:
    """A piece of work under way in a child of its own.

    ``told`` holds what the work has handed on so far, later values over earlier ones.
    """

    def __init__(
        self, work: Callable[[Tell], Any], identity: Optional[Identity] = None, root: Optional[int] = None
    ) -> None:
        """Start ``work``, as ``identity`` when given, below the directory that is open as ``root`` when given.

        What the work returns and tells must be what JSON can carry.
        """
        self.told: dict[str, Any] = {}
        self._outcome: dict[str, Any] = {}
        self._received = bytearray()
        self._waited = 0.0
        self._pipe, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._work(work, identity, root, writing)
        os.close(writing)

    def _work(
        self, work: Callable[[Tell], Any], identity: Optional[Identity], root: Optional[int], writing: int
    ) -> None:
        try:
            os.close(self._pipe)
            with os.fdopen(writing, "w", encoding="utf-8") as stream:

                def send(message: Mapping[str, Any]) -> None:
                    stream.write(json.dumps(message) + "\n")
                    stream.flush()

                send(_outcome(lambda: work(lambda seen: send({"told": seen})), identity, root))
        finally:
            os._exit(0)

    def _take(self, line: bytes) -> None:
        message = json.loads(line)
        if "told" in message:
            self.told.update(message["told"])
        else:
            self._outcome = message

    def wait(self, seconds: float) -> bool:
        """Return whether the work has ended, after waiting for ``seconds`` at most."""
        self._waited += seconds
        deadline = time.monotonic() + seconds
        while self._pipe >= 0:
            if not select.select([self._pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return False
            chunk = os.read(self._pipe, 65536)
            self._received += chunk
            *lines, rest = bytes(self._received).split(b"\n")
            self._received = bytearray(rest)
            for line in lines:
                self._take(line)
            if not chunk:
                self._close()
        return True

    def result(self) -> Any:
        """Return what the work returned.

        Raises the OSError or ValueError that it raised, or NoAnswerError when it died before any of these.
        """
        if not self._outcome:
            raise NoAnswerError(self._waited, "the child ended without a result")
        return _value(self._outcome)

    def state(self) -> str:
        """Return how the kernel holds the child, such as ``D rpc_wait_bit_killable``."""
        try:
            with open(f"/proc/{self._pid}/stat", encoding="utf-8", errors="replace") as stream:
                state = stream.read().rpartition(")")[2].split()[0]
            with open(f"/proc/{self._pid}/wchan", encoding="utf-8") as stream:
                return f"{state} {stream.read()}"
        except (OSError, IndexError):
            return "state unknown"

    def abandon(self) -> None:
        """Kill the child with what it started and, when even that has to wait for a server, leave it behind."""
        if self._pipe >= 0:
            # It leads no group of its own yet when it has only just begun.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            os.kill(self._pid, signal.SIGKILL)
            self._close()

    def _close(self) -> None:
        os.close(self._pipe)
        self._pipe = -1
        deadline = time.monotonic() + _REAP_SECONDS
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
            time.sleep(0.01)


def run(
    work: Callable[[], Any], seconds: float, identity: Optional[Identity] = None, root: Optional[int] = None
) -> Any:
    """Do ``work`` in a child, as ``identity`` when given, and return its result.

    Raises the OSError or ValueError that the work raised, or NoAnswerError when
    it has not ended after ``seconds`` or ended without a result.
    """
    child = Child(lambda _tell: work(), identity, root)
    if not child.wait(seconds):
        state = child.state()
        child.abandon()
        raise NoAnswerError(seconds, state)
    return child.result()
