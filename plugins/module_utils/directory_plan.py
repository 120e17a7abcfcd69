# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to have directories with certain owners and modes, without taking anybody's files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_share, posix_acl
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem


@dataclass(frozen=True)
class Wanted:
    """A directory as it should be; ids are numbers, so that the accounts need not exist yet.

    ``input`` is the variable that gave the path.
    ``mounted`` says that it lies on a mount, and must not be made before that is there.
    ``shared`` asks for a default ACL that gives the group rwx whatever the umask.
    """

    path: str
    uid: int
    gid: int
    mode: int
    mounted: bool = False
    shared: bool = False
    input: str = "a directory"


@dataclass(frozen=True)
class Found:
    """A directory as it is; ``kind`` is missing, directory, symlink or other.

    ``obstacle`` is the component that is a link or no directory.  ``acl`` is
    the default ACL, None where there is no such thing.  ``fstype``, ``mount_point`` and ``source`` are those
    of the mount it lies on.  ``writable`` is what the server says about the wanted owner, on network mounts.
    """

    kind: str
    uid: int = 0
    gid: int = 0
    mode: int = 0
    empty: bool = True
    acl: Optional[bytes] = None
    obstacle: str = ""
    network: bool = False
    mount_point: str = "/"
    source: str = ""
    writable: bool = False


@dataclass(frozen=True)
class Plan:
    """What to do with one directory; nothing at all is right, or has to wait for a mount to come."""

    path: str
    problem: Optional[Problem] = None
    warning: str = ""
    make: bool = False
    chown: bool = False
    chmod: bool = False
    acl: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is to be done."""
        return self.make or self.chown or self.chmod or self.acl


def _check_path(wanted: Wanted) -> list[Problem]:
    instead = "write an absolute path of its own, such as /srv/mlflow/artifacts"
    try:
        plain = nfs_share.check_path(wanted.path)
    except ValueError as error:
        why = "MLflow stores paths as they are written, for all hosts and for good"
        return [Problem(f"{wanted.input}: {error}", why, instead)]
    if plain in nfs_share.SYSTEM_DIRECTORIES:
        return [
            Problem(
                f"{wanted.input} is {wanted.path}, one of the system's own directories",
                "its owner would change",
                instead,
            )
        ]
    return []


def check_paths(wanted: Iterable[Wanted]) -> list[Problem]:
    """Judge the inputs alone: plain absolute paths, each its own, artifacts apart from the service's state."""
    directories = list(wanted)
    problems = [problem for directory in directories for problem in _check_path(directory)]
    if problems:
        return problems
    return [
        Problem(
            f"the artifact root {one.path} and the service's own {other.path} contain each other",
            "users of the shared group have no business in the service's directories, and could not pass through them",
            "set mlflow_artifact_root to a directory apart, such as /srv/mlflow/artifacts",
        )
        for one in directories
        for other in directories
        if one.shared and not other.shared and posixpath.commonpath([one.path, other.path]) in (one.path, other.path)
    ]


def plan(wanted: Wanted, found: Found, check_mode: bool) -> Plan:
    """Compare one directory with what it should be."""
    if found.kind in ("symlink", "other"):
        return Plan(wanted.path, problem=_obstacle(found))
    if wanted.mounted and not found.network:
        if check_mode:
            return Plan(wanted.path)
        return Plan(wanted.path, problem=_unmounted(wanted, found))
    if found.kind == "missing":
        return Plan(wanted.path, make=True, acl=wanted.shared and not found.network)
    return _on_network(wanted, found) if found.network else _on_disk(wanted, found)


def _on_disk(wanted: Wanted, found: Found) -> Plan:
    if found.uid != wanted.uid and not found.empty:
        return Plan(wanted.path, problem=_foreign(wanted, found))
    return Plan(
        wanted.path,
        chown=(found.uid, found.gid) != (wanted.uid, wanted.gid),
        chmod=found.mode != wanted.mode,
        acl=wanted.shared and found.acl is not None and not posix_acl.grants_group_write(found.acl),
        warning=_no_acl(wanted) if wanted.shared and found.acl is None else "",
    )


def _on_network(wanted: Wanted, found: Found) -> Plan:
    """Plan for a share, where the owner may mend what is his; for the rest only the server's root can help."""
    if found.uid == wanted.uid:
        return Plan(wanted.path, chown=found.gid != wanted.gid, chmod=found.mode != wanted.mode)
    if found.writable:
        warning = (
            f"{wanted.path} belongs to {found.uid}:{found.gid} on {found.source}, not to {wanted.uid}:{wanted.gid}; "
            f"the server lets the service write there all the same (it maps users, perhaps)"
        )
        return Plan(wanted.path, warning=warning)
    return Plan(wanted.path, problem=_foreign(wanted, found))


def remedy(wanted: Wanted, found: Found) -> str:
    """Return the commands that root, on the server if it is a share, would have to run."""
    path, where = wanted.path, ""
    if found.network:
        host, _colon, exported = found.source.rpartition(":")
        below = posixpath.relpath(wanted.path, found.mount_point)
        path, where = posixpath.normpath(posixpath.join(exported, below)), f"on {host}, as root, "
    return f"if these files are MLflow's, run {where}'chown {wanted.uid}:{wanted.gid} {path} && chmod {wanted.mode:04o} {path}'"


def _foreign(wanted: Wanted, found: Found) -> Problem:
    contents = "is empty" if found.empty else "is not empty"
    return Problem(
        f"{wanted.path} belongs to {found.uid}:{found.gid} (mode {found.mode:04o}) and {contents}, "
        f"wanted is {wanted.uid}:{wanted.gid}",
        "another's directory is never taken" if not found.network else "the service can't write there",
        f"{remedy(wanted, found)}; else choose another path",
    )


def _obstacle(found: Found) -> Problem:
    what = "a symbolic link" if found.kind == "symlink" else "no directory"
    why = "MLflow stores the path as it is written, and a link can lead elsewhere tomorrow"
    return Problem(f"{found.obstacle} is {what}", why, "name the directory itself")


def _unmounted(wanted: Wanted, found: Found) -> Problem:
    return Problem(
        f"{wanted.path} lies on {found.mount_point} of this host, not on the share",
        "artifacts would be lost from sight when the share is mounted",
        "run the role mlflow_nfs_mount first, or set mlflow_directories_artifact_mounted: false for local artifacts",
    )


def _no_acl(wanted: Wanted) -> str:
    return (
        f"the file system of {wanted.path} has no POSIX ACLs: colleagues can write in each other's "
        f"directories only while all work with umask 002"
    )
