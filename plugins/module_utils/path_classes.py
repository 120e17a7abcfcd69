# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen of a path to what is wrong with it, and what to do.

RULES stand in order: of those that explain why a path is not proved the first one that
applies is reported, because what follows is its consequence.  The notes of path_notes are
reported whenever they apply.  A path counts as proved only by a reply that was written and read back, so that
evidence which no rule explains is an error, too.
"""

from __future__ import annotations

import posixpath
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_notes, path_watch
from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_remedies as remedies
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import (
    FOREIGN,
    FOUND,
    MISSING,
    Evidence,
)

Rule = Callable[[Evidence], Optional[Finding]]

#: AUTH_SYS carries no more supplementary groups than this (RFC 5531, appendix A).
NFS_GROUPS = 16
_DENIED = ("EACCES", "EPERM")
#: Steps at which an NFSv4 server in its grace period makes a client wait (RFC 8881, section 8.4.2).
_OPENING = ("sentinel", "mkdir", "create")


def _failed(seen: Evidence, *errors: str) -> bool:
    return seen.failure is not None and seen.failure.error in errors


def _where(seen: Evidence) -> str:
    """Say which file system a path lies on."""
    if seen.mount is None:
        return f"{seen.path} lies on no file system that the mount table tells"
    return f"{seen.path} lies on {seen.mount.fstype} {seen.mount.source}, mounted at {seen.mount.mount_point}"


def _is_local(seen: Evidence) -> bool:
    return seen.mount is None or not seen.mount.is_network


def _unknown_user(seen: Evidence) -> Optional[Finding]:
    if not seen.unknown_user:
        return None
    return Finding(
        "unknown_user",
        ERROR,
        f"there is no user {seen.user} here, so nothing was written and nothing is proved",
        f"create the user, or take {seen.user} out of the users to prove for",
    )


def _grace_period(seen: Evidence) -> Optional[Finding]:
    silence = seen.silence
    if silence is None or silence.step not in _OPENING or "statvfs" not in silence.answered:
        return None
    if silence.port != path_watch.OPEN:
        return None
    return Finding(
        "grace_period",
        ERROR,
        f"the NFS server answers, but opening a file at {seen.path} did not come back within {silence.seconds:g} s "
        f"(process {silence.state}): it is probably in the grace period after its start",
        "check again in two minutes; if it is the same then, " + remedies.look_at_server(seen),
    )


_PORTS = {
    path_watch.OPEN: "its port accepts connections",
    path_watch.REFUSED: "its port refuses connections: the NFS server is not running",
    path_watch.UNANSWERED: "its port does not answer: host down, or a firewall drops it",
    path_watch.UNKNOWN_NAME: "its name is not known here",
    "": "its port was not tried",
}


def _server_silent(seen: Evidence) -> Optional[Finding]:
    if seen.silence is None:
        return None
    source = seen.mount.source if seen.mount else seen.path
    return Finding(
        "server_silent",
        ERROR,
        f"{source} does not answer: {seen.silence.step} of {seen.path} did not come back within "
        f"{seen.silence.seconds:g} s (process {seen.silence.state}; {_PORTS[seen.silence.port]})",
        remedies.look_at_server(seen),
    )


def _stale_handle(seen: Evidence) -> Optional[Finding]:
    if not _failed(seen, "ESTALE"):
        return None
    return Finding(
        "stale_handle",
        ERROR,
        f"{seen.path} gives 'Stale file handle': the NFS server no longer has the directory that was mounted",
        remedies.remount(seen) + "; an fsid= in the export keeps handles valid when its disk is replaced",
    )


def _not_a_directory(seen: Evidence) -> Optional[Finding]:
    if not seen.not_a_directory:
        return None
    return Finding(
        "not_a_directory",
        ERROR,
        f"{seen.not_a_directory} is a file, so nothing can be kept at {seen.path}",
        "move it away, then " + remedies.mount(seen),
    )


def _missing_below_read_only(seen: Evidence) -> Optional[Finding]:
    if not (_failed(seen, "ENOENT") and seen.first_missing and seen.nearest_read_only):
        return None
    return Finding(
        "missing_below_read_only",
        ERROR,
        f"{seen.first_missing} does not exist and can't be made: the file system above it is read-only",
        remedies.other_path(seen),
    )


def _not_mounted(seen: Evidence) -> Optional[Finding]:
    reached = seen.sentinel == MISSING or (seen.failure is not None and seen.failure.step in ("stat", "sentinel"))
    if not (seen.declared and _is_local(seen) and reached and not seen.sentinel_at):
        return None
    return Finding(
        "not_mounted",
        ERROR,
        f"{seen.declared} says that a share belongs at {seen.path}, but it is not mounted: {_where(seen)}"
        + remedies.stranded(seen),
        remedies.start_mount(seen),
    )


def _missing(seen: Evidence) -> Optional[Finding]:
    if not (_failed(seen, "ENOENT") and seen.first_missing):
        return None
    return Finding(
        "missing",
        ERROR,
        f"{seen.first_missing} does not exist on this host, so logging an artifact fails or makes a local directory",
        remedies.mount(seen),
    )


def _other_directory(seen: Evidence) -> Optional[Finding]:
    if seen.sentinel not in (MISSING, FOREIGN) or not (seen.sentinel_at or not _is_local(seen)):
        return None
    message = f"{seen.path} is not the server's directory: {_where(seen)}"
    remedy = remedies.remount_right(seen)
    if seen.sentinel_at:
        path = posixpath.normpath(seen.real_path or seen.path)
        if path.startswith(seen.sentinel_at.rstrip("/") + "/"):
            levels = len(posixpath.relpath(path, seen.sentinel_at).split("/"))
            message += f". The server's directory is {seen.sentinel_at}: {levels} level(s) too deep here"
        else:
            message += f". The server's directory is {seen.sentinel_at}: the mount is one level too high"
    return Finding("other_directory", ERROR, message, remedy)


def _local_directory(seen: Evidence) -> Optional[Finding]:
    if seen.sentinel not in (MISSING, FOREIGN):
        return None
    return Finding(
        "local_directory",
        ERROR,
        f"{seen.path} is a local directory, so that writes succeed and are lost: {_where(seen)}"
        + remedies.stranded(seen),
        remedies.mount(seen),
    )


def _hidden_file_system(seen: Evidence) -> Optional[Finding]:
    if not seen.hidden:
        return None
    return Finding(
        "hidden_file_system",
        ERROR,
        f"the server has further file systems below {seen.path}, which are not seen here: {', '.join(seen.hidden)}. "
        "What is written there lands beneath them and is lost to the server",
        "on the NFS server: add crossmnt to the export, or export and mount each of them; then `exportfs -ra`",
    )


def _read_only_mount(seen: Evidence) -> Optional[Finding]:
    is_read_only = seen.mounted_read_only or (seen.mount is not None and seen.mount.is_read_only)
    if not (is_read_only and (_failed(seen, "EROFS") or seen.only_looked)):
        return None
    return Finding(
        "read_only_mount", ERROR, f"{seen.path} is mounted read-only on this host", remedies.make_writable(seen)
    )


def _read_only_export(seen: Evidence) -> Optional[Finding]:
    if not _failed(seen, "EROFS"):
        return None
    return Finding(
        "read_only_export",
        ERROR,
        f"{seen.path} is mounted read-write here, but the NFS server refuses to write: it exports read-only",
        "on the NFS server: write rw for this client in /etc/exports or /etc/exports.d, then `exportfs -ra`",
    )


def _no_space(seen: Evidence) -> Optional[Finding]:
    if not _failed(seen, "ENOSPC"):
        return None
    free = f"; {seen.free_bytes} bytes are free" if seen.free_bytes >= 0 else ""
    return Finding(
        "no_space",
        ERROR,
        f"the file system of {seen.path} is full: 64 KiB could not be written{free}",
        "on the NFS server: make room, or enlarge the file system; look at inodes too (`df -i`)",
    )


def _quota_exceeded(seen: Evidence) -> Optional[Finding]:
    if not _failed(seen, "EDQUOT"):
        return None
    return Finding(
        "quota_exceeded",
        ERROR,
        f"{seen.user} has used up the quota at {seen.path}: 64 KiB could not be written",
        f"on the NFS server: raise the quota of {seen.user} (uid {seen.uid}), or remove old runs with `mlflow gc`",
    )


def _sticky_directory(seen: Evidence) -> Optional[Finding]:
    if not (_failed(seen, *_DENIED) and path_notes.has_sticky_bit(seen) and seen.empty_file_left):
        return None
    return Finding(
        "sticky_directory",
        ERROR,
        f"creating a file below {seen.path} fails and leaves an empty one: the directory has the sticky bit "
        f"({seen.mode:04o}), the NFS server changes the user, and fs.protected_regular is {seen.protected_regular}",
        remedies.take_off_sticky_bit(seen),
    )


def _too_many_groups(seen: Evidence) -> Optional[Finding]:
    is_nfs = seen.mount is not None and seen.mount.is_nfs
    if not (_failed(seen, *_DENIED) and is_nfs and len(seen.groups) > NFS_GROUPS):
        return None
    return Finding(
        "too_many_groups",
        ERROR,
        f"{seen.user} may not write to {seen.path} and is in {len(seen.groups)} groups, of which NFS carries "
        f"{NFS_GROUPS}: the one that counts may be among the others",
        remedies.know_the_groups(seen),
    )


def _root_squashed(seen: Evidence) -> Optional[Finding]:
    is_nfs = seen.mount is not None and seen.mount.is_nfs
    if not (_failed(seen, *_DENIED) and is_nfs and seen.uid == 0):
        return None
    return Finding(
        "root_squashed",
        ERROR,
        f"the NFS server takes root for nobody, who may not write to {seen.path}",
        "run training as an ordinary user of the shared group; where it must be root, export with no_root_squash "
        "to hosts that you trust, or with all_squash and an anonuid that may write",
    )


def _access_denied(seen: Evidence) -> Optional[Finding]:
    if not (_failed(seen, *_DENIED) and seen.failure):
        return None
    owner = (
        f": it belongs to {seen.owner_uid}:{seen.owner_gid}, mode {seen.mode:04o}" if seen.mode >= 0 else " or above it"
    )
    return Finding(
        "access_denied",
        ERROR,
        f"{seen.user} (uid {seen.uid}, groups {', '.join(map(str, seen.groups))}) is refused at {seen.path}"
        f" ({seen.failure.step}: {seen.failure.error}){owner}",
        remedies.give_access(seen),
    )


def _probe_failed(seen: Evidence) -> Optional[Finding]:
    if seen.failure is None:
        return None
    return Finding(
        "probe_failed",
        ERROR,
        f"{seen.failure.step} at {seen.failure.path or seen.path} failed with {seen.failure.error}, so the path is "
        f"not proved: {_where(seen)}",
        "look at the kernel's log (`dmesg`) of this host and of the file server",
    )


def _not_proved(seen: Evidence) -> Optional[Finding]:
    if seen.replied:
        return None
    if seen.only_looked:
        return Finding("not_proved", WARNING, f"check mode writes nothing, so {seen.path} is not proved", "")
    if seen.sentinel == FOUND:
        return Finding("not_proved", ERROR, f"nothing was written to {seen.path}, and nothing says why", "")
    return Finding(
        "not_proved",
        ERROR,
        f"{seen.path} can't be proved: the server could not leave its sentinel there",
        "see what was found on the server, and check again",
    )


RULES: tuple[Rule, ...] = (
    _unknown_user,
    _grace_period,
    _server_silent,
    _stale_handle,
    _not_a_directory,
    _missing_below_read_only,
    _not_mounted,
    _missing,
    _other_directory,
    _local_directory,
    _read_only_mount,
    _read_only_export,
    _no_space,
    _quota_exceeded,
    _sticky_directory,
    _too_many_groups,
    _root_squashed,
    _access_denied,
    _probe_failed,
    _hidden_file_system,
    _not_proved,
)


def _colleague_denied(seen: Evidence) -> Optional[Finding]:
    if not _failed(seen, *_DENIED):
        return None
    return Finding(
        "colleague_denied",
        ERROR,
        f"{seen.user} (uid {seen.uid}) may not write into what {seen.colleague} has made at {seen.path}: it "
        f"belongs to {seen.owner_uid}:{seen.owner_gid}, mode {seen.mode:04o}. {seen.user} will get 'Permission denied' "
        "in such experiments",
        remedies.share_with_colleagues(seen.path),
    )


#: As RULES, for a user in a colleague's directory.
VISIT_RULES: tuple[Rule, ...] = (
    _server_silent,
    _stale_handle,
    _no_space,
    _quota_exceeded,
    _colleague_denied,
    _probe_failed,
    _not_proved,
)


def classify_visit(seen: Evidence) -> list[Finding]:
    """Return what keeps a user from writing into a colleague's directory, nothing when it worked."""
    found = (rule(seen) for rule in VISIT_RULES)
    return [finding for finding in found if finding is not None][:1]


def classify(seen: Evidence) -> list[Finding]:
    """Return what is wrong, at most one reason, and then what is worth knowing; nothing when all is well."""
    reasons = (rule(seen) for rule in RULES)
    reason = next((finding for finding in reasons if finding is not None), None)
    notes = [finding for finding in (note(seen) for note in path_notes.NOTES) if finding is not None]
    return ([reason] if reason else []) + notes
