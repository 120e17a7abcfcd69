# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at directories and change them, as the one who may; see directory_plan for what and why."""

from __future__ import annotations

import os
import stat
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded, mountinfo, posix_acl
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity
from ansible_collections.selfhosted.mlflow.plugins.module_utils.directory_plan import Found, Plan, Wanted

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: What a freshly made file system holds.
_NOBODYS = frozenset(("lost+found",))


def _component(path: str) -> tuple[str, str]:
    """Return how far a path leads, and what stands there."""
    reached = ""
    for name in path.strip("/").split("/"):
        reached += "/" + name
        try:
            mode = os.lstat(reached).st_mode
        except FileNotFoundError:
            return "missing", reached
        if stat.S_ISLNK(mode):
            return "symlink", reached
        if not stat.S_ISDIR(mode):
            return "other", reached
    return "directory", reached


def _look(path: str) -> dict[str, Any]:
    kind, reached = _component(path)
    if kind != "directory":
        return {"kind": kind, "obstacle": reached}
    status = os.lstat(path)
    try:
        empty = not set(os.listdir(path)) - _NOBODYS
    except PermissionError:
        # Root is a stranger on a share; that it is not empty is the careful guess.
        empty = False
    acl = posix_acl.read(path)
    return {
        "kind": kind,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mode": stat.S_IMODE(status.st_mode),
        "empty": empty,
        "acl": None if acl is None else acl.hex(),
    }


def inspect(wanted: Wanted, seconds: float) -> Found:
    """Look at a directory, on a share as its owner-to-be.  Raises OSError or NoAnswerError."""
    entry = mountinfo.covering(mountinfo.read(), wanted.path)
    network = entry is not None and entry.is_network
    seen = bounded.run(lambda: _look(wanted.path), seconds)
    writable = False
    if network and seen["kind"] == "directory":
        owner = Identity(wanted.uid, wanted.gid)
        writable = bounded.run(lambda: os.access(wanted.path, os.R_OK | os.W_OK | os.X_OK), seconds, owner)
    acl = seen.pop("acl", None)
    return Found(
        **seen,
        acl=None if acl is None else bytes.fromhex(acl),
        network=network,
        mount_point=entry.mount_point if entry else "/",
        source=entry.source if entry else "",
        writable=writable,
    )


def _make(path: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    os.mkdir(path, 0o700)


def _apply(wanted: Wanted, steps: Plan) -> None:
    # umask 022 for parents that are made on the way.
    os.umask(0o022)
    if steps.make:
        _make(wanted.path)
    # One descriptor for everything: whoever owns the parent can't slip a link in between.
    descriptor = os.open(wanted.path, _FLAGS)
    try:
        if steps.make or steps.chown:
            os.fchown(descriptor, wanted.uid, wanted.gid)
        if steps.acl:
            current = posix_acl.read(descriptor)
            if current is not None:
                os.setxattr(descriptor, posix_acl.XATTR, posix_acl.with_group_write(current))
        if steps.make or steps.chown or steps.chmod:
            os.fchmod(descriptor, wanted.mode)
    finally:
        os.close(descriptor)


def apply(wanted: Wanted, found: Found, steps: Plan, seconds: float) -> None:
    """Do what the plan says, on a share as the owner.  Raises OSError or NoAnswerError."""
    owner = Identity(wanted.uid, wanted.gid, (wanted.gid,)) if found.network else None
    bounded.run(lambda: _apply(wanted, steps), seconds, owner)


def _line(wanted: Wanted, found: Found, steps: Plan, after: bool) -> str:
    """Return one line of a diff for a directory, as it is or as it will be."""
    if not after and found.kind == "missing":
        return f"{wanted.path} missing\n"
    owner, acl = (f"{found.uid}:{found.gid} {found.mode:04o}", found.acl or b"")
    if after:
        owner, acl = (f"{wanted.uid}:{wanted.gid} {wanted.mode:04o}", posix_acl.with_group_write(acl))
    return f"{wanted.path} {owner}{f' default {posix_acl.to_text(acl)}' if steps.acl else ''}\n"


def diff(changes: list[tuple[Wanted, Found, Plan]]) -> dict[str, str]:
    """Return the directories that change, before and after, for Ansible to show."""
    return {
        "before": "".join(_line(*item, after=False) for item in changes if item[2].changes),
        "after": "".join(_line(*item, after=True) for item in changes if item[2].changes),
    }
