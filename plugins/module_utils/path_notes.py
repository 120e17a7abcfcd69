# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worth knowing of an artifact path, whether it is proved or not."""

from __future__ import annotations

from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_remedies as remedies
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import INFO, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Evidence

_STICKY = 0o1000
_SHARED_WRITE = 0o022


def has_sticky_bit(seen: Evidence) -> bool:
    """Whether only its owner may remove what is in a directory that others may write to."""
    return seen.mode >= 0 and bool(seen.mode & _STICKY) and bool(seen.mode & _SHARED_WRITE)


def _indirect_path(seen: Evidence) -> Optional[Finding]:
    if not seen.replied or not (seen.autofs or (seen.real_path and seen.real_path != seen.path)):
        return None
    how = "an automounter" if seen.real_path == seen.path else f"a link to {seen.real_path}"
    return Finding(
        "indirect_path",
        INFO,
        f"{seen.path} is reached by {how}; MLflow stores the path as it is written, so each host needs it",
    )


def _name_folding(seen: Evidence) -> Optional[Finding]:
    if not seen.folds:
        return None
    kinds = {"case": "upper and lower case", "unicode": "composed and decomposed characters"}
    return Finding(
        "name_folding",
        WARNING,
        f"the file system takes {' and '.join(kinds[fold] for fold in seen.folds)} for equal: artifacts whose names "
        "differ in nothing else overwrite each other",
        "name artifacts in lower case ASCII, or keep them on a file system that tells them apart",
    )


def _stale_listing(seen: Evidence) -> Optional[Finding]:
    if not seen.listed_first:
        return None
    return Finding(
        "stale_listing",
        INFO,
        f"this host saw the server's new file at {seen.path} only after listing the directory: for up to a minute "
        "it may miss what others have just written",
    )


def _waited_for_grace(seen: Evidence) -> Optional[Finding]:
    if not (seen.waited and seen.replied):
        return None
    return Finding("grace_period", INFO, f"the NFS server was in its grace period; it answered after {seen.waited:g} s")


def _sticky_root(seen: Evidence) -> Optional[Finding]:
    if not (seen.replied and has_sticky_bit(seen)):
        return None
    return Finding(
        "sticky_directory",
        WARNING,
        f"{seen.path} has the sticky bit ({seen.mode:04o}): the server can't remove what clients own, and where the "
        "NFS server changes users, files made directly in it fail and stay empty",
        remedies.take_off_sticky_bit(seen),
    )


NOTES: tuple[Callable[[Evidence], Optional[Finding]], ...] = (
    _indirect_path,
    _name_folding,
    _stale_listing,
    _waited_for_grace,
    _sticky_root,
)
