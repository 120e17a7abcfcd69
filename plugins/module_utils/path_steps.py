# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of which probes are made: each is told before it is taken, for it may never come back.

What is told is in the words of path_evidence.Evidence.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo, path_evidence, path_files
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Tell
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry


class StopError(Exception):
    """A step failed, and what it met is told already."""


class Steps:
    """Tells each step before it is taken and after it came back.

    ``with steps("mkdir", path): …`` raises StopError instead of OSError.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._answered: list[str] = []

    @contextlib.contextmanager
    def __call__(self, name: str, path: str) -> Iterator[None]:
        self._tell({"step": name})
        try:
            yield
        except OSError as error:
            self._tell({"failure": asdict(path_evidence.failure(name, error, path))})
            raise StopError from error
        self._answered.append(name)
        self._tell({"answered": list(self._answered)})


def first_missing(path: str) -> tuple[str, str]:
    """Return the first component of a path that isn't there, and the nearest one that is.

    Raises OSError when it can't be told.
    """
    nearest = "/"
    for part in [part for part in path.split("/") if part]:
        component = os.path.join(nearest, part)
        try:
            os.lstat(component)
        except FileNotFoundError:
            return component, nearest
        nearest = component
    # Every component is there, so the last is a link that leads nowhere.
    return path, os.path.dirname(path)


def _read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _explain_missing(path: str, tell: Tell) -> None:
    with contextlib.suppress(OSError):
        missing, nearest = first_missing(path)
        tell({"first_missing": missing})
        tell({"nearest_read_only": _read_only(nearest)})


def _not_a_directory(path: str) -> str:
    """Return the component of a path that is a file, '' when none is."""
    component = ""
    for part in [part for part in path.split("/") if part]:
        component = f"{component}/{part}"
        if os.path.exists(component) and not os.path.isdir(component):
            return component
    return ""


def look(path: str, mounts: Optional[tuple[MountEntry, ...]], tell: Tell, steps: Steps) -> None:
    """Tell what a path is, and on which file system; ``mounts`` is None where a process can read its own table."""
    try:
        with steps("stat", path):
            # Not the path itself: since Linux 4.11 stat(2) alone makes no automounter mount.
            seen = os.stat(f"{path}/.")
    except StopError:
        _explain_missing(path, tell)
        with contextlib.suppress(OSError):
            tell({"not_a_directory": _not_a_directory(path)})
        raise
    tell({"mode": stat.S_IMODE(seen.st_mode), "owner_uid": seen.st_uid, "owner_gid": seen.st_gid})
    with steps("statvfs", path):
        space = os.statvfs(path)
    real_path = os.path.realpath(path)
    table = mountinfo.read() if mounts is None else mounts
    mount = path_evidence.mount_of(mountinfo.covering(table, real_path))
    tell(
        {
            "mounted_read_only": bool(space.f_flag & os.ST_RDONLY),
            "free_bytes": space.f_bavail * space.f_frsize,
            "real_path": real_path,
            "mount": asdict(mount) if mount else None,
            "autofs": any(
                entry.fstype == "autofs" and entry.mount_point in (real_path, os.path.dirname(real_path))
                for entry in table
            ),
        }
    )


def write_new(directory: int, name: str, content: bytes, where: str, tell: Tell, steps: Steps) -> None:
    """Make a file in an open directory, write it through to the disk, and read it back.

    ``where`` is the directory's path, for what is told.
    """
    try:
        with steps("create", where):
            file = path_files.create(name, directory)
    except StopError:
        with contextlib.suppress(OSError):
            left = os.stat(name, dir_fd=directory, follow_symlinks=False)
            tell({"empty_file_left": left.st_size == 0})
        raise
    try:
        with steps("write", where):
            path_files.write_all(file, content)
        # Space and quota are often refused only when the data is really sent.
        with steps("fsync", where):
            os.fsync(file)
        made = os.fstat(file)
        tell({"made_uid": made.st_uid, "made_gid": made.st_gid})
    finally:
        with steps("close", where):
            os.close(file)
    with steps("read_back", where):
        if path_files.read_regular(name, len(content) + 1, directory) != content:
            raise OSError(errno.EIO, "what was read is not what was written", where)
