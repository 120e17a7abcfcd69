# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory beneath a mount, guarded so that nothing is ever written there.

While the share is absent a mount point is a plain local directory, and what is
written into it is lost from sight when the share comes back.  Mode 0000 stops
users; the immutable flag (ioctl_iflags(2)) stops even root, with EPERM.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo

_LONG = struct.calcsize("l")
_GETFLAGS = 0x80006601 | _LONG << 16
_SETFLAGS = 0x40006602 | _LONG << 16
_IMMUTABLE = 0x10
_NO_FLAGS = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_SHOWN = 5


@dataclass(frozen=True)
class BareDirectory:
    """What a mount point is without its mount.

    ``kind`` is missing, directory, symlink or other; for the last two ``path``
    is the component that is in the way.  ``immutable`` is None where the
    file system has no such flag.  ``names`` are some of the ``count`` entries.
    """

    kind: str
    path: str
    mode: int = 0
    immutable: Optional[bool] = None
    count: int = 0
    names: tuple[str, ...] = ()

    @property
    def guarded(self) -> bool:
        """Whether nothing is left to do."""
        return self.kind == "directory" and self.mode == 0 and self.immutable is not False


def _flags(descriptor: int) -> Optional[int]:
    try:
        answer = fcntl.ioctl(descriptor, _GETFLAGS, struct.pack("l", 0))
    except OSError as error:
        if error.errno in _NO_FLAGS:
            return None
        raise
    return int(struct.unpack("i", answer[:4])[0])


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _in_the_way(path: str) -> Optional[BareDirectory]:
    """Return the first component of ``path`` that is no directory, or is absent."""
    reached = ""
    for name in path.strip("/").split("/"):
        reached += "/" + name
        try:
            mode = os.lstat(reached).st_mode
        except FileNotFoundError:
            return BareDirectory("missing", reached)
        if stat.S_ISLNK(mode):
            return BareDirectory("symlink", reached)
        if not stat.S_ISDIR(mode):
            return BareDirectory("other", reached)
    return None


def inspect(path: str) -> BareDirectory:
    """Look at a directory on which nothing is mounted.  Raises OSError."""
    obstacle = _in_the_way(path)
    if obstacle is not None:
        return obstacle
    descriptor = _open(path)
    try:
        flags = _flags(descriptor)
        names = sorted(os.listdir(descriptor))
        return BareDirectory(
            kind="directory",
            path=path,
            mode=stat.S_IMODE(os.fstat(descriptor).st_mode),
            immutable=None if flags is None else bool(flags & _IMMUTABLE),
            count=len(names),
            names=tuple(names[:_SHOWN]),
        )
    finally:
        os.close(descriptor)


def guard(path: str) -> BareDirectory:
    """Make the directory, with parents, and guard it; return what it is then.

    Raises OSError, also when the directory is not empty: it is then left alone.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    descriptor = _open(path)
    try:
        if os.listdir(descriptor):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        flags = _flags(descriptor)
        if flags is not None and flags & _IMMUTABLE and stat.S_IMODE(os.fstat(descriptor).st_mode):
            fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("l", flags & ~_IMMUTABLE))
        os.fchmod(descriptor, 0)
        if flags is not None:
            fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("l", flags | _IMMUTABLE))
    finally:
        os.close(descriptor)
    return inspect(path)


def _call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def beneath(path: str, work: Callable[[str], BareDirectory]) -> BareDirectory:
    """Do ``work`` on the directory beneath the mounts at ``path``.

    Only for a child process: it moves into a mount namespace of its own and
    takes the mounts off there, lazily, so neither the host nor the server
    notices.  Raises OSError, EPERM where a container forbids it.
    """
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
    while mountinfo.at(mountinfo.read(), path) is not None:
        _call("umount2", os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW)
    return work(path)


def unmount(path: str) -> None:
    """Take off every mount at ``path``.  Raises OSError, EBUSY while it is used."""
    while True:
        entry = mountinfo.at(mountinfo.read(), path)
        if entry is None or entry.fstype == "autofs":
            return
        _call("umount2", os.fsencode(path), _UMOUNT_NOFOLLOW)
