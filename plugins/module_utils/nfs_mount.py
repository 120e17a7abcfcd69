# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a mount point: what is mounted, what lies beneath, what would be done."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_options, nfs_share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bare_directory import BareDirectory
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nfs_share import Share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Stands in every unit file of the role, so that it knows its own.
MARKER = "X-WrittenBy=selfhosted.mlflow.mlflow_nfs_mount"

_ESCAPED = re.compile(rb"[^A-Za-z0-9:_.]")
_OCTAL = re.compile(r"\\([0-7]{3})")


def unit_name(path: str, suffix: str = "mount") -> str:
    r"""Return the unit that systemd gives a mount point: ``/srv/a-b`` has ``srv-a\x2db.mount``.

    Source: systemd-escape(1), ``--path``, and systemd.unit(5).
    """
    trimmed = "/".join(part for part in path.split("/") if part)
    if not trimmed:
        return f"-.{suffix}"
    escaped = [_ESCAPED.sub(lambda match: b"\\x%02x" % match.group()[0], part.encode()) for part in trimmed.split("/")]
    name = b"-".join(escaped).decode()
    return (f"\\x2e{name[1:]}" if name.startswith(".") else name) + f".{suffix}"


def fstab_source(text: str, path: str) -> Optional[str]:
    """Return what a line of fstab(5) mounts at ``path``, or None."""
    for line in text.splitlines():
        fields = [_OCTAL.sub(lambda match: chr(int(match.group(1), 8)), field) for field in line.split()]
        if len(fields) > 1 and not fields[0].startswith("#") and fields[1].rstrip("/") == path:
            return fields[0]
    return None


@dataclass(frozen=True)
class Wish:
    """The inputs, as they were given."""

    path: str
    source: str
    options: str
    automount: bool = False
    replace: bool = False
    allow_soft: bool = False


@dataclass(frozen=True)
class Evidence:
    """What the host says; nothing in it was asked of the share.

    ``addresses`` are those of the source's host, empty when its name isn't known.
    ``unit_text`` and ``automount_text`` are the unit files in /etc/systemd/system, '' when absent.
    ``bare`` is None when the directory could not be looked at.
    """

    mounts: tuple[MountEntry, ...] = ()
    bare: Optional[BareDirectory] = None
    bare_error: str = ""
    fstab: Optional[str] = None
    unit_text: str = ""
    automount_text: str = ""
    addresses: frozenset[str] = frozenset()
    source_is_here: bool = False
    systemd: bool = True


@dataclass(frozen=True)
class Verdict:
    """``mounted`` is about the wanted share; ``pending`` lists what a run would change."""

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    mounted: bool = False
    replace: bool = False
    pending: tuple[str, ...] = ()


def check_wish(wish: Wish) -> list[Problem]:
    """Judge the inputs alone."""
    problems = []
    try:
        nfs_share.parse(wish.source)
    except ValueError as error:
        problems.append(
            Problem(
                f"mlflow_nfs_mount_source: {error}" if wish.source else "mlflow_nfs_mount_source is empty",
                "there is nothing to mount",
                "set mlflow_nfs_share to HOST:/PATH, or leave this role out",
            ),
        )
    problems += _check_path(wish.path) + _check_options(wish)
    return problems


def _check_path(path: str) -> list[Problem]:
    instead = "name a directory of its own, such as /srv/mlflow/artifacts, in mlflow_artifact_root"
    try:
        plain = nfs_share.check_path(path)
    except ValueError as error:
        why = "systemd and MLflow need the one absolute path that all hosts share"
        return [Problem(f"mlflow_nfs_mount_path: {error}", why, instead)]
    if nfs_share.is_system_directory(plain):
        return [Problem(f"mlflow_nfs_mount_path is {path}", "the system's own files would be hidden", instead)]
    return []


def _check_options(wish: Wish) -> list[Problem]:
    try:
        options = nfs_options.parse(wish.options)
    except ValueError as error:
        instead = "write them as mount(8) takes them, separated by commas"
        return [Problem(f"mlflow_nfs_mount_options: {error}", "the mount would fail", instead)]
    problems = []
    recovery = nfs_options.recovery(options)
    if recovery != "hard" and not wish.allow_soft:
        problems.append(
            Problem(
                f"mlflow_nfs_mount_options has {recovery!r}",
                "a server that is slow for a moment then makes writes fail, and artifacts end torn without a word",
                "write 'hard', or set mlflow_nfs_mount_allow_soft: true",
            ),
        )
    if nfs_options.version(options).startswith("2"):
        why = "Linux has no NFS version 2 any more"
        problems.append(Problem("mlflow_nfs_mount_options asks for NFS version 2", why, "write nfsvers=4.2"))
    return problems


def unit_to_retire(wish: Wish, evidence: Evidence) -> str:
    """Return the unit that serves the mount point the other way than wanted, or ''.

    systemd starts no automount on what is mounted, and an automount that is left over would mount again.
    """
    if not wish.automount:
        return unit_name(wish.path, "automount") if evidence.automount_text else ""
    mounted_plainly = bool(evidence.mounts) and all(entry.fstype != "autofs" for entry in evidence.mounts)
    never_automounted = bool(evidence.unit_text) and not evidence.automount_text
    return unit_name(wish.path) if mounted_plainly or never_automounted else ""


def shown_source(entry: MountEntry) -> str:
    """Return a mount's source for a person, findmnt's way: a bind mount has its directory in brackets."""
    return entry.source if entry.root == "/" else f"{entry.source}[{entry.root}]"


def same_source(wanted: Share, entry: MountEntry, addresses: frozenset[str]) -> bool:
    """Whether a mount shows the wanted share: the same path of the same host, by name or by address."""
    try:
        actual = nfs_share.parse(entry.source)
    except ValueError:
        return False
    if actual.path != wanted.path:
        return False
    if actual.host.rstrip(".").lower() == wanted.host.rstrip(".").lower():
        return True
    shown = [option.partition("=")[2] for option in entry.super_options if option.startswith("addr=")]
    return bool(addresses.intersection([actual.host, *shown]))


def judge(wish: Wish, evidence: Evidence) -> Verdict:
    """Judge inputs and host together; nothing is touched."""
    problems = check_wish(wish)
    if problems:
        return Verdict(tuple(problems))
    share = nfs_share.parse(wish.source)
    entry = evidence.mounts[-1] if evidence.mounts else None
    waiting = entry is not None and entry.fstype == "autofs"
    actual = None if waiting else entry
    problems += _judge_host(wish, share, evidence, waiting)
    replace = False
    if actual is not None:
        difference = _difference(wish, share, actual, evidence.addresses)
        replace = bool(difference) and wish.replace
        if difference and not wish.replace:
            problems.append(difference[0])
    bare_problems, warnings, guard = _judge_bare(wish, evidence, actual)
    mounted = actual is not None and not replace
    pending = [*guard]
    if replace:
        pending.insert(0, f"unmount {shown_source(actual) if actual else ''}")
    if not mounted and not waiting:
        pending.append(f"mount {wish.source}")
    return Verdict(
        problems=(*problems, *bare_problems),
        warnings=warnings,
        mounted=mounted,
        replace=replace,
        pending=tuple(pending),
    )


def _judge_host(wish: Wish, share: Share, evidence: Evidence, waiting: bool) -> list[Problem]:
    problems = []
    if not evidence.systemd:
        why = "the share is mounted by a systemd unit"
        problems.append(Problem("this host was not booted by systemd", why, "mount the share by your own means"))
    if not evidence.addresses:
        problems.append(
            Problem(
                f"this host does not know the name {share.host}",
                f"{wish.source} can't be mounted",
                "add it to DNS or /etc/hosts, or write the address in mlflow_nfs_share",
            ),
        )
    if evidence.source_is_here and share.path == wish.path:
        problems.append(
            Problem(
                f"{share.host} is this host, and {share.path} is the directory it exports",
                "the mount would cover the very files it shows",
                "leave mlflow_nfs_mount out on the NAS: the directory is there already",
            ),
        )
    if evidence.fstab is not None:
        problems.append(
            Problem(
                f"/etc/fstab mounts {evidence.fstab} at {wish.path}",
                "a unit and a line in fstab would contend for one mount point",
                "delete the line and run 'systemctl daemon-reload' (what is mounted stays mounted), "
                "or keep it and leave mlflow_nfs_mount out",
            ),
        )
    units = (("mount", evidence.unit_text), ("automount", evidence.automount_text))
    problems += [
        Problem(
            f"/etc/systemd/system/{unit_name(wish.path, suffix)} was not written by this role",
            "your unit would be overwritten",
            "move it away, or keep it and leave mlflow_nfs_mount out",
        )
        for suffix, text in units
        if text and MARKER not in text
    ]
    if waiting and MARKER not in evidence.automount_text:
        problems.append(
            Problem(
                f"an automounter that is not ours ({evidence.mounts[-1].source}) holds {wish.path}",
                "two automounters can't serve one path",
                "take the path out of autofs, or leave mlflow_nfs_mount out",
            ),
        )
    return problems


def _difference(wish: Wish, share: Share, entry: MountEntry, addresses: frozenset[str]) -> list[Problem]:
    """Return why what is mounted is not what is wanted, at most one reason."""
    instead = "unmount it, or set mlflow_nfs_mount_replace: true to have it remounted"
    if not entry.is_network or not same_source(share, entry, addresses):
        return [
            Problem(
                f"{wish.path} already shows {shown_source(entry)} ({entry.fstype}), not {wish.source}",
                "artifacts would go to another place than the one all hosts share",
                f"{instead}; or correct mlflow_nfs_share",
            ),
        ]
    differing = nfs_options.differences(nfs_options.parse(wish.options), entry.options + entry.super_options)
    if differing:
        return [
            Problem(
                f"{wish.source} is mounted at {wish.path} with other options: {', '.join(differing)}",
                "the options of a mount in use can't be exchanged",
                f"{instead}; or write these options in mlflow_nfs_mount_options",
            ),
        ]
    return []


def _judge_bare(
    wish: Wish,
    evidence: Evidence,
    actual: Optional[MountEntry],
) -> tuple[Sequence[Problem], tuple[str, ...], tuple[str, ...]]:
    """Return problems, warnings and pending work about the directory beneath the mount."""
    bare = evidence.bare
    if bare is None:
        return (), (f"the directory beneath {wish.path} could not be looked at: {evidence.bare_error}",), ()
    if bare.kind == "missing":
        return (), (), (f"make {wish.path} and guard it",)
    if bare.kind != "directory":
        what = "a symbolic link" if bare.kind == "symlink" else "no directory"
        why = "MLflow stores the path as it is written, and systemd mounts on no link"
        return [Problem(f"{bare.path} is {what}", why, "move it away, or set another mlflow_artifact_root")], (), ()
    if bare.count:
        return _stray(wish, bare, actual)
    warnings: tuple[str, ...] = ()
    if bare.immutable is None:
        warnings = (f"the file system of {wish.path} has no immutable flag: only mode 0000 guards it from writing",)
    return (), warnings, () if bare.guarded else (f"guard the bare directory {wish.path}",)


def _stray(
    wish: Wish,
    bare: BareDirectory,
    actual: Optional[MountEntry],
) -> tuple[Sequence[Problem], tuple[str, ...], tuple[str, ...]]:
    some = ", ".join(bare.names) + (", …" if bare.count > len(bare.names) else "")
    found = f"{wish.path} holds {bare.count} entries of its own: {some}"
    aside = posixpath.join(posixpath.dirname(wish.path), f"{posixpath.basename(wish.path)}.stray")
    if actual is not None:
        text = (
            f"beneath the mount, {found}; they are hidden and kept. To see them: unmount, then mv {wish.path} {aside}"
        )
        return (), (text,), ()
    return (
        [
            Problem(
                found,
                "a mount would hide these files, and nobody would find them again",
                f"run 'mv {wish.path} {aside}' and this play again, then copy what you need onto the share",
            ),
        ],
        (),
        (),
    )
