# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of an artifact path, before anybody judges it."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry, is_network

#: What became of the look for the server's sentinel.
NOT_LOOKED = ""
FOUND = "found"
MISSING = "missing"
FOREIGN = "foreign"


@dataclass(frozen=True)
class Failure:
    """A system call that failed.

    ``error`` is the name of its errno, such as ``EROFS``, for numbers differ between systems.
    ``step`` is one of stat, statvfs, sentinel, mkdir, create, write, fsync, close, read_back, fold.
    """

    step: str
    error: str
    path: str = ""


def failure(step: str, error: OSError, path: str) -> Failure:
    """Return a failed system call in the form that is kept."""
    return Failure(step, errno.errorcode.get(error.errno or 0, str(error.errno)), path)


@dataclass(frozen=True)
class Silence:
    """A system call that did not come back.

    ``answered`` are the steps that had come back before, ``state`` how the kernel held the process,
    ``port`` what a connection to the file server met: open, refused, silent, unknown name, or '' when not tried.
    """

    step: str
    seconds: float
    state: str
    port: str = ""
    answered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mount:
    """The file system that covers a path, as the mount table tells it."""

    mount_point: str
    fstype: str
    source: str
    options: tuple[str, ...] = ()

    @property
    def is_network(self) -> bool:
        """Whether the files are kept by another host."""
        return is_network(self.fstype)

    @property
    def is_nfs(self) -> bool:
        """Whether it is NFS of any version."""
        return self.fstype in ("nfs", "nfs4")

    @property
    def is_read_only(self) -> bool:
        """Whether it is mounted read-only."""
        return bool({"ro", "read-only"}.intersection(self.options))


def mount_of(entry: Optional[MountEntry]) -> Optional[Mount]:
    """Return what of a line of the mount table is kept as evidence."""
    if entry is None:
        return None
    options = dict.fromkeys((*entry.options, *entry.super_options))
    # The file system as a whole may be read-write where this mount of it is not, never the other way round.
    if "ro" in entry.options:
        options.pop("rw", None)
    return Mount(entry.mount_point, entry.fstype, entry.source, tuple(options))


@dataclass(frozen=True)
class Evidence:
    """All that one user's probe of one path has seen; what it did not get to stays at its default.

    Numbers of users and groups are as this host's kernel shows them; -1 is "not seen".
    """

    path: str
    user: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    system: str = "linux"
    #: The share that should be mounted, ``HOST:/PATH``, as the playbook or the server's mount table names it.
    share: str = ""
    #: Where it should be mounted; '' stands for the path itself.
    share_at: str = ""
    #: This host has no such user.
    unknown_user: bool = False
    #: In whose directory, where it is a colleague's.
    colleague: str = ""

    mount: Optional[Mount] = None
    mounted_read_only: bool = False
    #: Where the share is declared to be mounted: /etc/fstab, or the name of a unit.
    declared: str = ""
    real_path: str = ""
    autofs: bool = False
    first_missing: str = ""
    nearest_read_only: bool = False
    not_a_directory: str = ""
    mode: int = -1
    owner_uid: int = -1
    owner_gid: int = -1
    free_bytes: int = -1
    protected_regular: int = -1

    sentinel: str = NOT_LOOKED
    #: Where the sentinel was found instead: a parent or a directory below, as an absolute path.
    sentinel_at: str = ""
    #: Mount points on the server, below the path, whose own sentinel this client does not see.
    hidden: tuple[str, ...] = ()
    stranded: tuple[str, ...] = ()
    listed_first: bool = False

    failure: Optional[Failure] = None
    silence: Optional[Silence] = None
    #: Seconds waited beyond the timeout until an NFS server's grace period was over.
    waited: float = 0.0
    #: A file that could not be made is there nevertheless, empty.
    empty_file_left: bool = False
    made_uid: int = -1
    made_gid: int = -1
    made_mode: int = -1
    folds: tuple[str, ...] = ()
    #: The reply was written, synchronised, closed and read back whole.
    replied: bool = False
    #: Nothing was written because nothing is in check mode.
    only_looked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return what differs from "not seen", in a form that JSON can carry."""
        whole = dataclasses.asdict(self)
        unseen = {item.name: item.default for item in dataclasses.fields(self)}
        return {name: value for name, value in whole.items() if value != unseen[name]}


def _tuples(seen: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in seen.items()}


def from_dict(seen: Mapping[str, Any]) -> Evidence:
    """Return the evidence that `Evidence.as_dict` showed, also after a way through JSON.

    Raises TypeError for unknown names.
    """
    values = _tuples(seen)
    kinds: dict[str, Any] = {"mount": Mount, "failure": Failure, "silence": Silence}
    for name, kind in kinds.items():
        if values.get(name) is not None:
            values[name] = kind(**_tuples(seen[name]))
    return Evidence(**values)
