# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host itself says about an artifact path and its users; no file system but the root's is touched."""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo, nfs_mount, path_evidence
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Evidence

_FSTAB = "/etc/fstab"
_UNIT_DIRECTORIES = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")
#: What the role mlflow_artifact_check installs to look on.
_WATCH = "/etc/mlflow-artifact-watch.conf"
_PROTECTED_REGULAR = "/proc/sys/fs/protected_regular"


@dataclass(frozen=True)
class Account:
    """A user of this host."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def identity(self) -> Optional[Identity]:
        """Return whom a child has to become, None when it is this user already.

        Raises PermissionError when this process may not become anybody else.
        """
        if os.geteuid() == 0:
            return Identity(self.uid, self.gid, self.groups)
        if os.geteuid() == self.uid:
            return None
        raise PermissionError(f"only root can act as {self.name}: become root on this host")


def account(name: str) -> Optional[Account]:
    """Return a user by name, None when the host has none of this name."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        return None
    groups = os.getgrouplist(found.pw_name, found.pw_gid)
    if os.geteuid() == found.pw_uid != 0:
        # What this session really has: a group given a minute ago isn't in it.
        groups = os.getgroups()
    return Account(found.pw_name, found.pw_uid, found.pw_gid, tuple(sorted({*groups, found.pw_gid})))


def members(group: str) -> list[str]:
    """Return the users of a group, by its list and by their primary group; none when there is no such group."""
    try:
        found = grp.getgrnam(group)
    except KeyError:
        return []
    primary = [user.pw_name for user in pwd.getpwall() if user.pw_gid == found.gr_gid]
    return sorted({*found.gr_mem, *primary})


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


@dataclass(frozen=True)
class Declared:
    """A mount that the host's configuration declares: ``by`` is /etc/fstab or the name of a unit."""

    by: str
    at: str
    source: str


def _unit_source(text: str) -> str:
    found = [line.partition("=")[2].strip() for line in text.splitlines() if line.startswith("What=")]
    return found[-1] if found else ""


def declared(path: str) -> Optional[Declared]:
    """Return the nearest mount that is declared for a path or a directory above it."""
    fstab = _read(_FSTAB)
    point = posixpath.normpath(path)
    while point != "/":
        source = nfs_mount.fstab_source(fstab, point)
        if source is not None:
            return Declared(_FSTAB, point, source)
        unit = nfs_mount.unit_name(point)
        for directory in _UNIT_DIRECTORIES:
            text = _read(f"{directory}/{unit}")
            if text:
                return Declared(unit, point, _unit_source(text))
        point = posixpath.dirname(point)
    return None


def _protected_regular() -> int:
    text = _read(_PROTECTED_REGULAR).strip()
    return int(text) if text.isdigit() else -1


def reads_own_mounts() -> bool:
    """Whether a process of this system can read its mount table without asking another program."""
    return sys.platform.startswith("linux")


def _system() -> str:
    return "linux" if reads_own_mounts() else sys.platform.rstrip("0123456789")


@dataclass(frozen=True)
class Share:
    """What should be mounted where, as far as the playbook or the server knows; '' is unknown."""

    source: str = ""
    at: str = ""


def evidence(path: str, user: Account, mounts: Sequence[MountEntry], share: Share) -> Evidence:
    """Return what is known of a path before anybody touches it."""
    found = declared(path)
    return Evidence(
        path=path,
        user=user.name,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        system=_system(),
        share=share.source or (found.source if found else ""),
        share_at=(found.at if found else "") or share.at,
        mount=path_evidence.mount_of(mountinfo.covering(mounts, path)),
        declared=found.by if found else "",
        protected_regular=_protected_regular(),
    )


def watched() -> bool:
    """Whether this host goes on looking at its artifact path by itself."""
    return os.path.exists(_WATCH)
