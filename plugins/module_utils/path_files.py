# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in a directory that strangers may write to.

Nothing here follows a link that a stranger may have planted, waits for a FIFO's other end,
reads more than it was told, or deletes anything but what a check makes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_proof

#: How many entries of a directory are looked at when something is to be removed.
_LOOK_AT = 1000
#: How many entries of an artifact root are looked at for what killed checks left; a root may hold millions.
_SEARCH = 100000
_COLLEAGUE = re.compile(r"colleague-[0-9a-f]{16}")


def open_directory(name: str, parent: Optional[int] = None) -> int:
    """Open a directory that is no link.  Raises OSError."""
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)


def read_regular(name: str, limit: int, parent: Optional[int] = None) -> bytes:
    """Return up to ``limit`` bytes of a regular file; a link or a FIFO is refused at once.

    Raises OSError (EINVAL when it is no regular file).
    """
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        content = bytearray()
        while len(content) < limit:
            chunk = os.read(file, limit - len(content))
            if not chunk:
                break
            content += chunk
        return bytes(content)
    finally:
        os.close(file)


def read_in(directory: str, name: str, limit: int) -> bytes:
    """As `read_regular`, of a file in a directory that is no link either.  Raises OSError."""
    opened = open_directory(directory)
    try:
        return read_regular(name, limit, opened)
    finally:
        os.close(opened)


def create(name: str, parent: int, mode: int = 0o666) -> int:
    """Create a file that wasn't there, for writing.  Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, mode, dir_fd=parent)


def write_all(file: int, content: bytes) -> None:
    """Write all of ``content``.  Raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _remove_known(directory: int) -> None:
    for name in (path_proof.REPLY, path_proof.SENTINEL):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def _remove_visit(directory: int, name: str) -> None:
    inner = open_directory(name, directory)
    try:
        if os.fstat(inner).st_dev == os.fstat(directory).st_dev:
            _remove_known(inner)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=directory)


def remove_visit(colleague: str, name: str) -> None:
    """Remove what a visitor made in a colleague's directory.  Raises OSError."""
    directory = open_directory(colleague)
    try:
        _remove_visit(directory, name)
    finally:
        os.close(directory)


def _remove_visits(directory: int) -> None:
    with os.scandir(directory) as entries:
        names = [entry.name for _number, entry in zip(range(_LOOK_AT), entries)]
    for name in filter(_COLLEAGUE.fullmatch, names):
        _remove_visit(directory, name)


def remove_probe(root: str, name: str) -> bool:
    """Remove a directory that a check made directly below ``root``, and return whether there was one.

    Raises OSError when it can't be, ENOTEMPTY when a stranger has put something into it; ValueError
    for a name that no check makes.
    """
    if not path_proof.is_ours(name):
        raise ValueError(f"{name!r} is not what a check makes")
    above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            directory = open_directory(name, above)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(directory).st_dev != os.fstat(above).st_dev:
                raise OSError(errno.EXDEV, "something is mounted there", f"{root}/{name}")
            _remove_known(directory)
            _remove_visits(directory)
        finally:
            os.close(directory)
        os.rmdir(name, dir_fd=above)
        return True
    finally:
        os.close(above)


def left_probes(root: str, run: str = "", now: Optional[float] = None) -> list[str]:
    """Return the names of what checks left in ``root`` more than a day ago, and of all that ``run`` made.

    Raises OSError.
    """
    oldest = (time.time() if now is None else now) - path_proof.STALE_SECONDS
    own = path_proof.server_directory(run)
    found = []
    with os.scandir(root) as entries:
        for _number, entry in zip(range(_SEARCH), entries):
            if not path_proof.is_ours(entry.name):
                continue
            is_own = bool(run) and (entry.name == own or entry.name.startswith(f"{own}-"))
            if is_own or entry.stat(follow_symlinks=False).st_mtime < oldest:
                found.append(entry.name)
    return found
