# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a Python program of ours under another Python, as another user, and never wait for it for long."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional

_AFTER_KILL_SECONDS = 2.0
#: Of what a program says, the last part is kept.
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
class Ended:
    """What a program said until it ended with ``code``; the last 20000 characters of each."""

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
    """Return Popen's arguments for acting as somebody; none when that is who we are."""
    if who is None or (who.uid == os.geteuid() and os.geteuid() != 0):
        return {}
    return {"user": who.uid, "group": who.gid, "extra_groups": list(who.groups)}


def _finish(process: subprocess.Popen[bytes]) -> bytes:
    """Kill a program with all that it started, and return what it had said; never wait for a dead file server."""
    os.killpg(process.pid, signal.SIGKILL)
    try:
        return process.communicate(timeout=_AFTER_KILL_SECONDS)[0]
    except subprocess.TimeoutExpired as still:
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        # It is left behind, and nobody asks for its end.
        process.returncode = -signal.SIGKILL
        return still.output or b""


def _text(raw: Optional[bytes]) -> str:
    return (raw or b"")[-_KEPT:].decode("utf-8", "replace")


def run(
    command: Sequence[str],
    text: str,
    environment: Mapping[str, str],
    seconds: float,
    who: Optional[User] = None,
    umask: int = 0o022,
) -> Ended:
    """Run ``command`` with ``text`` on its standard input, in the root directory and a session of its own.

    ``environment`` is all that it gets.  Raises OSError when it can't be started, such as PermissionError when
    only root could act as ``who``, and TooSlowError after ``seconds``.
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=dict(environment),
        start_new_session=True,
        umask=umask,
        **_identity(who),
    ) as process:
        try:
            out, err = process.communicate(text.encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TooSlowError(seconds, _text(_finish(process))) from None
        return Ended(process.returncode, _text(out), _text(err))
