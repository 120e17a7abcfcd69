# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's mount table, read without touching any mounted file system.

Source: proc_pid_mountinfo(5) and the kernel's Documentation/filesystems/proc.rst, section 3.5.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

#: File system types whose files other hosts may write, so that locks and
#: memory maps can't be relied on (SQLite's "How To Corrupt", section 2.1).
NETWORK_FILE_SYSTEMS = frozenset(
    (
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "fuse.sshfs",
        "fuse.glusterfs",
        "glusterfs",
        "ceph",
        "fuse.ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "afs",
        "ocfs2",
        "gfs2",
        # macOS and FreeBSD.
        "afpfs",
        "webdav",
        "fusefs.sshfs",
    ),
)

_ESCAPE = re.compile(r"\\([0-7]{3})")
_FIXED_FIELDS = 6
_TAIL_FIELDS = 2


@dataclass(frozen=True)
class MountEntry:
    """One line of /proc/PID/mountinfo.

    ``source`` is only the name the mount was made with (an NFS alias, say),
    never a proof of what is behind it.
    """

    mount_id: int
    parent_id: int
    device: str
    root: str
    mount_point: str
    options: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]

    @property
    def is_network(self) -> bool:
        """Whether other hosts may write the same files."""
        return is_network(self.fstype)


def is_network(fstype: str) -> bool:
    """Whether other hosts may write the files of a file system of this type."""
    return fstype in NETWORK_FILE_SYSTEMS


def _decode(field: str) -> str:
    """Undo the kernel's octal escapes of space, tab, newline and backslash."""
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), field)


def _parse_line(line: str) -> MountEntry:
    head, separator, tail = line.partition(" - ")
    fields, rest = head.split(" "), tail.split(" ", _TAIL_FIELDS)
    if not separator or len(fields) < _FIXED_FIELDS or len(rest) < _TAIL_FIELDS:
        raise ValueError(f"not a mountinfo line: {line!r}")
    return MountEntry(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=fields[2],
        root=_decode(fields[3]),
        mount_point=_decode(fields[4]),
        options=tuple(fields[5].split(",")),
        fstype=_decode(rest[0]),
        source=_decode(rest[1]),
        super_options=tuple(rest[2].split(",")) if len(rest) > _TAIL_FIELDS else (),
    )


def parse(text: str) -> tuple[MountEntry, ...]:
    """Parse the text of a mountinfo file, in the kernel's order.

    Raises ValueError naming the line that isn't one.
    """
    # Not splitlines(): a directory's name may hold a carriage return or a form feed.
    return tuple(_parse_line(line) for line in text.split("\n") if line)


def read(path: str = "/proc/self/mountinfo") -> tuple[MountEntry, ...]:
    """Read and parse the mount table of a process (its own by default).

    Raises OSError when the file can't be read, ValueError when it can't be parsed.
    """
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
        return parse(stream.read())


def at(entries: Iterable[MountEntry], path: str) -> Optional[MountEntry]:
    """Return what is mounted exactly at the absolute ``path``, or None.

    Of several mounts stacked on one point the last one is what a process sees.
    """
    wanted = posixpath.normpath(path)
    found = None
    for entry in entries:
        if entry.mount_point == wanted:
            found = entry
    return found


def covering(entries: Iterable[MountEntry], path: str) -> Optional[MountEntry]:
    """Return the mount that the absolute ``path`` lies on, or None without a root mount.

    The path is compared as text: nothing is opened or followed, so a dead
    server can't make this hang.
    """
    wanted = posixpath.normpath(path)
    found = None
    for entry in entries:
        prefix = entry.mount_point.rstrip("/") + "/"
        covers = wanted == entry.mount_point or wanted.startswith(prefix)
        if covers and (found is None or len(entry.mount_point) >= len(found.mount_point)):
            found = entry
    return found
