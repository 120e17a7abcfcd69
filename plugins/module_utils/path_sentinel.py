# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of a check: leave a sentinel, read the replies, remove everything.

Runs in a child of its own, as the service's user and in the service's view of the
directories.  Clients may write to the root: nothing there is followed or believed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo, path_files, path_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Tell
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_steps import Steps, StopError, look, write_new

_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_POLL_SECONDS = 0.5
#: How many directories are entered to find file systems that are mounted on entering.
_ENTERED = 200

#: What the server finds where a client says that it has replied.
ARRIVED = "arrived"
ABSENT = "absent"
DIFFERENT = "different"
DENIED = "denied"
ODD = "odd"


@dataclass(frozen=True)
class Planting:
    """Where to leave sentinels.

    ``mounts`` is the mount table of the view, ``table`` the open file to read it from again, None where there is none.
    """

    path: str
    run: str
    mounts: tuple[MountEntry, ...]
    table: Optional[int] = None
    write: bool = True


def _below(task: Planting) -> list[str]:
    """Return the mount points below the path.

    Where this host is an NFS client itself, a file system below an export is mounted when somebody enters it.
    """
    with contextlib.suppress(OSError), os.scandir(task.path) as entries:
        for _number, entry in zip(range(_ENTERED), entries):
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    os.stat(f"{entry.path}/.")
    mounts = task.mounts
    if task.table is not None:
        os.lseek(task.table, 0, os.SEEK_SET)
        with open(task.table, encoding="utf-8", errors="surrogateescape", newline="\n", closefd=False) as stream:
            mounts = mountinfo.parse(stream.read())
    inside = task.path.rstrip("/") + "/"
    return list(dict.fromkeys(entry.mount_point for entry in mounts if entry.mount_point.startswith(inside)))


def _plant(directory: str, run: str, nonce: str, tell: Tell, steps: Steps) -> None:
    where = f"{directory}/{path_proof.server_directory(run)}"
    with steps("mkdir", where):
        os.mkdir(where, _DIRECTORY_MODE)
    with steps("create", where):
        made = path_files.open_directory(where)
        # Whatever the umask or the directory's default ACL made of the mode: clients must read it, and only read.
        os.fchmod(made, _DIRECTORY_MODE)
    try:
        write_new(made, path_proof.SENTINEL, path_proof.sentinel_text(run, nonce).encode(), where, tell, steps)
        with steps("create", where):
            os.chmod(path_proof.SENTINEL, _FILE_MODE, dir_fd=made)
        with steps("fsync", where):
            os.fsync(made)
    finally:
        os.close(made)


def _remove_left(path: str, run: str = "") -> None:
    with contextlib.suppress(OSError):
        for name in path_files.left_probes(path, run):
            with contextlib.suppress(OSError):
                path_files.remove_probe(path, name)


def plant(task: Planting, tell: Tell) -> None:
    """Leave the sentinels, and tell the nonces by the directories they are in; in check mode only look."""
    steps = Steps(tell)
    nonces = {}
    with contextlib.suppress(StopError):
        look(task.path, task.mounts, tell, steps)
        if not task.write:
            return
        _remove_left(task.path)
        nonces[task.path] = path_proof.new_nonce()
        _plant(task.path, task.run, nonces[task.path], tell, steps)
        for directory in _below(task):
            # A snapshot or another's directory is none that artifacts go to: no sentinel there, no proof needed.
            with contextlib.suppress(StopError):
                nonce = path_proof.new_nonce()
                _plant(directory, task.run, nonce, lambda _seen: None, Steps(lambda _seen: None))
                nonces[directory] = nonce
        tell({"replied": True, "sentinel": "found", "nonces": nonces})


@dataclass(frozen=True)
class Claim:
    """What a client says: this member has replied; ``uid`` is who it is there, ``made_uid`` whose the file is there."""

    member: Member
    uid: int
    made_uid: int


@dataclass(frozen=True)
class Reply:
    """What the server found of a claim; ``uid`` is the owner's number on the server, ``mode`` the directory's."""

    state: str
    error: str = ""
    uid: int = -1
    gid: int = -1
    mode: int = -1
    removed: bool = False
    removal_error: str = ""


@dataclass(frozen=True)
class Collecting:
    """What to look for below a path, and for how many seconds: a server that is an NFS client sees it late."""

    path: str
    run: str
    claims: tuple[Claim, ...]
    below: tuple[str, ...]
    patience: float
    write: bool = True


def _read_reply(root: int, run: str, member: Member, nonce: str) -> Reply:
    """Read a reply.  Raises OSError."""
    directory = path_files.open_directory(path_proof.reply_directory(run, member), root)
    try:
        seen = os.fstat(directory)
        owner = Reply(ARRIVED, uid=seen.st_uid, gid=seen.st_gid, mode=seen.st_mode & 0o7777)
        try:
            content = path_files.read_regular(path_proof.REPLY, path_proof.REPLY_SIZE + 1, directory)
        except PermissionError as error:
            return replace(owner, state=DENIED, error=_name(error))
        return owner if content == path_proof.reply_bytes(nonce, member) else replace(owner, state=DIFFERENT)
    finally:
        os.close(directory)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def _reply(root: int, run: str, member: Member, nonce: str) -> Reply:
    try:
        return _read_reply(root, run, member, nonce)
    except FileNotFoundError:
        return Reply(ABSENT)
    except PermissionError as error:
        return Reply(DENIED, _name(error))
    except OSError as error:
        # A link, a FIFO or a mount where a directory with a file was: somebody plays tricks.
        return Reply(ODD, _name(error))


def _list(root: int) -> None:
    """Look at a directory's first entries, which makes an NFS client ask the server for what is new in it."""
    with contextlib.suppress(OSError), os.scandir(root) as entries:
        for _number, _entry in zip(range(200), entries):
            pass


def _read_all(task: Collecting, nonce: str) -> dict[Member, Reply]:
    found: dict[Member, Reply] = {}
    deadline = time.monotonic() + task.patience
    root = os.open(task.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        missing = [claim.member for claim in task.claims]
        while missing:
            found.update({member: _reply(root, task.run, member, nonce) for member in missing})
            missing = [member for member, reply in found.items() if reply.state == ABSENT]
            if time.monotonic() > deadline:
                break
            if missing:
                _list(root)
                time.sleep(_POLL_SECONDS)
    finally:
        os.close(root)
    return found


def _removal(path: str, name: str) -> dict[str, Any]:
    try:
        return {"removed": path_files.remove_probe(path, name)}
    except OSError as error:
        return {"removal_error": _name(error)}


def _own_nonce(task: Collecting) -> str:
    directory = f"{task.path}/{path_proof.server_directory(task.run)}"
    text = path_files.read_in(directory, path_proof.SENTINEL, path_proof.SENTINEL_LIMIT).decode("ascii", "replace")
    return path_proof.nonce_of(text, task.run)


def collect(task: Collecting, tell: Tell) -> list[dict[str, Any]]:
    """Read the replies that are claimed, remove all that the check has made, and return what was found.

    Raises OSError when the sentinel or the root can't be read any more.
    """
    tell({"step": "sentinel"})
    nonce = _own_nonce(task) if task.claims else ""
    replies = []
    for member, reply in _read_all(task, nonce).items():
        gone = _removal(task.path, path_proof.reply_directory(task.run, member)) if task.write else {}
        replies.append({"client": member.client, "user": member.user, **asdict(reply), **gone})
    if task.write:
        for directory in (*task.below, task.path):
            _removal(directory, path_proof.server_directory(task.run))
        # A client that was given up may have made its directory nevertheless.
        _remove_left(task.path, task.run)
    return replies


def reply_of(seen: dict[str, Any]) -> tuple[Member, Reply]:
    """Return a reply from its form in `collect`."""
    values = dict(seen)
    return Member(values.pop("client"), values.pop("user")), Reply(**values)


def unseen(claims: Sequence[Claim], error: Optional[str]) -> list[tuple[Member, Reply]]:
    """Return the replies when the server could not look at all."""
    return [(claim.member, Reply(ODD, error or "")) for claim in claims]
