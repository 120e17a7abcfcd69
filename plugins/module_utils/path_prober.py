# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One user's probe of one path: the calls that MLflow's client would make, and what they met.

Runs in a child of its own (bounded.Child), as the user, and tells what it sees as it goes,
in the words of path_evidence.Evidence; every call here may hang.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_evidence, path_files, path_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Tell
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_steps import Steps, StopError, look, write_new

#: How many entries of a directory are looked at: a root may hold millions.
_LOOK_AT = 200
_SHOW = 5
_EXPERIMENT = re.compile(r"[0-9]+")
_RUN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Place:
    """A directory with a sentinel in it; ``digest`` is that of its nonce."""

    path: str
    digest: str


@dataclass(frozen=True)
class Task:
    """What a user is to prove.

    Without ``sentinel`` there is nothing to find, and the path is only looked at.  ``below`` are the places
    of further file systems inside the path.  ``mounts`` is the mount table where it can't be read in the child.
    """

    path: str
    member: Member
    run: str
    sentinel: Optional[Place] = None
    below: tuple[Place, ...] = ()
    umask: int = 0o022
    write: bool = True
    mounts: Optional[tuple[MountEntry, ...]] = None


def _nonce(directory: str, run: str, tell: Tell) -> Optional[str]:
    """Return the nonce of a directory's sentinel, None without a sentinel, '' for one that isn't ours.

    Raises OSError for anything but a missing file.
    """
    probe_directory = f"{directory}/{path_proof.server_directory(run)}"
    try:
        text = path_files.read_in(probe_directory, path_proof.SENTINEL, path_proof.SENTINEL_LIMIT)
    except PermissionError:
        # A stale handle is answered by "Permission denied" as well, but not when the directory is listed.
        with contextlib.suppress(PermissionError):
            os.scandir(directory).close()
        raise
    except FileNotFoundError:
        # An NFS client remembers for up to a minute what was not there; listing the directory makes it ask.
        for _number, _entry in zip(range(_LOOK_AT), os.scandir(directory)):
            pass
        try:
            text = path_files.read_in(probe_directory, path_proof.SENTINEL, path_proof.SENTINEL_LIMIT)
        except FileNotFoundError:
            return None
        tell({"listed_first": True})
    return path_proof.nonce_of(text.decode("ascii", "replace"), run)


def _matches(place: Place, nonce: Optional[str]) -> bool:
    return bool(nonce) and path_proof.digest(nonce or "") == place.digest


def _quiet_nonce(directory: str, run: str, tell: Tell) -> Optional[str]:
    try:
        return _nonce(directory, run, tell)
    except OSError:
        return None


def _neighbours(path: str) -> Iterator[str]:
    """Return the directories above a path, the nearest first, and some of those below."""
    above = os.path.dirname(path)
    while above != "/":
        yield above
        above = os.path.dirname(above)
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for _number, entry in zip(range(_LOOK_AT), entries):
            if entry.is_dir(follow_symlinks=False):
                yield entry.path


def stranded_runs(path: str) -> list[str]:
    """Return some directories of runs, as MLflow lays them out, that lie below a path."""
    found: list[str] = []
    with contextlib.suppress(OSError):
        for _number, experiment in zip(range(_LOOK_AT), os.scandir(path)):
            if not _EXPERIMENT.fullmatch(experiment.name) or not experiment.is_dir(follow_symlinks=False):
                continue
            for _count, run in zip(range(_LOOK_AT), os.scandir(experiment.path)):
                if _RUN.fullmatch(run.name) and os.path.isdir(f"{run.path}/artifacts"):
                    found.append(run.path)
    return sorted(found)[:_SHOW]


def _search(task: Task, place: Place, tell: Tell) -> None:
    """Look where the sentinel is instead, and for what has been written here meanwhile."""
    for directory in _neighbours(os.path.realpath(task.path)):
        if _matches(place, _quiet_nonce(directory, task.run, lambda _seen: None)):
            tell({"sentinel_at": directory})
            break
    tell({"stranded": stranded_runs(task.path)})


def _find(task: Task, place: Place, tell: Tell, steps: Steps) -> str:
    """Return the nonce of the path's sentinel."""
    with steps("sentinel", task.path):
        nonce = _nonce(task.path, task.run, tell)
    if not _matches(place, nonce):
        tell({"sentinel": path_evidence.MISSING if nonce is None else path_evidence.FOREIGN})
        _search(task, place, tell)
        raise StopError
    tell({"sentinel": path_evidence.FOUND})
    hidden = [below.path for below in task.below if not _matches(below, _quiet_nonce(below.path, task.run, tell))]
    tell({"hidden": hidden})
    return nonce or ""


def _folds(directory: int) -> list[str]:
    """Return what the file system takes for equal in names: ``case``, ``unicode``."""
    pairs = {"case": (b"Name", b"nAME"), "unicode": ("\u00e9".encode(), "e\u0301".encode())}
    folds = []
    for kind, (made, other) in pairs.items():
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=directory))
        with contextlib.suppress(FileNotFoundError):
            os.stat(other, dir_fd=directory)
            folds.append(kind)
        os.unlink(made, dir_fd=directory)
    return folds


def _reply(task: Task, nonce: str, tell: Tell, steps: Steps) -> None:
    name = path_proof.reply_directory(task.run, task.member)
    where = f"{task.path}/{name}"
    os.umask(task.umask)
    with steps("mkdir", where):
        os.mkdir(where)
    try:
        with steps("create", where):
            directory = path_files.open_directory(where)
        try:
            tell({"made_mode": stat.S_IMODE(os.fstat(directory).st_mode)})
            write_new(directory, path_proof.REPLY, path_proof.reply_bytes(nonce, task.member), where, tell, steps)
            with steps("fold", where):
                tell({"folds": _folds(directory)})
        finally:
            os.close(directory)
    except StopError:
        with contextlib.suppress(OSError):
            path_files.remove_probe(task.path, name)
        raise
    tell({"replied": True})


def probe(task: Task, tell: Tell) -> None:
    """Look at the path, find the sentinel, and answer it."""
    steps = Steps(tell)
    with contextlib.suppress(StopError):
        look(task.path, task.mounts, tell, steps)
        if task.sentinel is None:
            return
        nonce = _find(task, task.sentinel, tell, steps)
        if task.write:
            _reply(task, nonce, tell, steps)


def join(path: str, run: str, member: Member, colleague: Member, umask: int, tell: Tell) -> None:
    """Write into the directory that a colleague made, as into another's experiment, and take it away again."""
    steps = Steps(tell)
    theirs = f"{path}/{path_proof.reply_directory(run, colleague)}"
    where = f"{theirs}/{path_proof.colleague_directory(member)}"
    os.umask(umask)
    with contextlib.suppress(StopError):
        with steps("stat", theirs):
            seen = os.stat(theirs)
        tell({"mode": stat.S_IMODE(seen.st_mode), "owner_uid": seen.st_uid, "owner_gid": seen.st_gid})
        with steps("mkdir", where):
            os.mkdir(where)
        with steps("create", where):
            directory = path_files.open_directory(where)
        try:
            write_new(directory, path_proof.REPLY, f"{member.key}\n".encode(), where, tell, steps)
        finally:
            os.close(directory)
            # At once and by its owner: whose directory it lies in may not be able to.
            with contextlib.suppress(OSError):
                path_files.remove_visit(theirs, path_proof.colleague_directory(member))
        tell({"replied": True})
