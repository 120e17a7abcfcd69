# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a Python program of ours under another Python, as another user, and never wait for it for long."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional

_AFTER_KILL_SECONDS = 2.0
#: Of what a program says, the last bytes are kept.
_KEPT = 20000


class TooSlowError(Exception):
    """The program was not done in time, and has been killed; ``out`` is what it had said."""

    def __init__(self, seconds: float, out: str) -> None:
        super().__init__(f"not done within {seconds:g} s")
        self.out = out


@dataclass(frozen=True)
class User:
    """Whom to run a program as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True)
class Manner:
    """How a program is to run: its ``umask``, and the open files that it inherits besides its standard ones."""

    umask: int = 0o022
    keep_open: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ended:
    """What a program said until it ended with ``code``; the last 20000 bytes of each."""

    code: int
    out: str
    err: str


def user(name: str) -> Optional[User]:
    """Return a user of this host, None when there is none of that name."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(
        name, found.pw_uid, found.pw_gid, tuple(os.getgrouplist(name, found.pw_gid)), found.pw_dir or "/nonexistent"
    )


def source(module: ModuleType) -> str:
    """Return the text of an imported module, also from the archive that Ansible sends to a host.

    Import it where that can be seen, or it isn't in the archive.  Raises ValueError when the text isn't at hand.
    """
    loader: Any = module.__loader__
    text = loader.get_source(module.__name__)
    if not text:
        raise ValueError(f"the text of {module.__name__} is not at hand")
    return str(text)


def _identity(who: Optional[User]) -> dict[str, Any]:
    """Return the arguments for acting as somebody; none when that is who we are."""
    if who is None or (who.uid == os.geteuid() and os.geteuid() != 0):
        return {}
    return {"user": who.uid, "group": who.gid, "extra_groups": list(who.groups)}


def _text(raw: bytearray) -> str:
    return raw.decode("utf-8", "replace")


class _Ear(asyncio.SubprocessProtocol):
    """Keeps the end of what a program says, and knows when it and all that hold its pipes have ended."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self.ended = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        kept = self.out if fd == 1 else self.err
        kept += data
        del kept[:-_KEPT]

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self.ended.set_result(exc)


async def _run(command: Sequence[str], text: str, seconds: float, settings: Mapping[str, Any]) -> Ended:
    # Not AnsibleModule.run_command(), which has no deadline; nor subprocess, which waits for what it has killed.
    transport, ear = await asyncio.get_running_loop().subprocess_exec(
        _Ear, *command, cwd="/", start_new_session=True, **settings
    )
    try:
        stdin = transport.get_pipe_transport(0)
        if isinstance(stdin, asyncio.WriteTransport):
            stdin.write(text.encode())
            stdin.write_eof()
        if not (await asyncio.wait([ear.ended], timeout=seconds))[0]:
            # With all that it started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
            # Not for ever: a dead file server can hold its end up.
            await asyncio.wait([ear.ended], timeout=_AFTER_KILL_SECONDS)
            raise TooSlowError(seconds, _text(ear.out))
    finally:
        transport.close()
    return Ended(transport.get_returncode() or 0, _text(ear.out), _text(ear.err))


def run(
    command: Sequence[str],
    text: str,
    environment: Mapping[str, str],
    seconds: float,
    who: Optional[User] = None,
    manner: Optional[Manner] = None,
) -> Ended:
    """Run ``command`` with ``text`` on its standard input, in the root directory and a session of its own.

    ``environment`` is all that it gets.  Raises OSError when it can't be started, such as PermissionError when
    only root could act as ``who``, and TooSlowError after ``seconds``.
    """
    manner = manner or Manner()
    settings = {
        "env": dict(environment),
        "umask": manner.umask,
        "pass_fds": manner.keep_open,
        **_identity(who),
    }
    return asyncio.run(_run(command, text, seconds, settings))
