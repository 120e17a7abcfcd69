# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup put back: chosen, verified, allowed, and the present state kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

from mlflow_backup import copies, making, shelf
from mlflow_backup.base import BackupError, Config, Record, database, say

#: What a server has made before anybody used it.
_EMPTY = {"experiments": 1, "runs": 0, "registered_models": 0}


def prepare(config: Config, wanted: str, overwrite: bool) -> tuple[Path, Record, Path | None]:
    """Choose and verify a backup, and keep what is to be replaced.  Nothing that the server has is changed.

    Returns the backup's directory, its record, and where the present state is kept.
    """
    path, record = choose(config, wanted)
    require_good(config, path, record)
    present = require_permission(config, record, overwrite)
    if record["artifacts"]["method"] == "none":
        require_snapshot(record, config.artifact_root)
    if not overwrite:
        return path, record, None
    kept = config.directory / "before-restore" / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept.mkdir(parents=True)
    if present:
        database(config, "dump", kept / "database")
    return path, record, kept


def choose(config: Config, wanted: str) -> tuple[Path, Record]:
    """Return the directory and the record of the backup that is asked for: a name, restic:SNAPSHOT, or the newest."""
    there = shelf.complete(config.directory)
    if wanted.startswith("restic:") or (not there and not wanted and config.artifacts == "restic"):
        return fetch(config, wanted.partition(":")[2] or "latest")
    if not there:
        raise BackupError(
            f"{config.directory} holds no backup",
            "there is nothing to restore",
            "mount or copy the backups there, owned by the server's account, or name a snapshot as restic:ID",
        )
    path = config.directory / wanted if wanted else there[0]
    if path not in there:
        names = ", ".join(each.name for each in there[:5])
        raise BackupError(
            f"there is no backup {wanted!r} in {config.directory}", f"there are {names}", "name one of them"
        )
    record = shelf.read_record(path)
    if record["artifacts"]["method"] == "restic":
        fetch(config, record["artifacts"]["snapshot"])
    return path, record


def fetch(config: Config, snapshot: str) -> tuple[Path, Record]:
    """Bring a snapshot of restic's here whole, and return the backup's directory in it and its record."""
    place = config.directory / shelf.FETCHED
    shelf.remove(place)
    place.mkdir()
    copies.restic(config, "restore", snapshot, "--tag", copies.RESTIC_TAG, "--target", place)
    found = next((path.parent for path in place.rglob(shelf.RECORD) if (path.parent / "database").is_dir()), None)
    if found is None:
        raise BackupError(
            f"restic's snapshot {snapshot} has no {shelf.RECORD}",
            "it says what is in the backup",
            "name another snapshot",
        )
    record = shelf.read_record(found)
    record["artifacts"]["snapshot"] = snapshot
    return found, record


def require_good(config: Config, path: Path, record: Record) -> None:
    """Raise BackupError for a damaged backup, which names the newest good one before it."""
    try:
        making.verify(config, path, record)
    except BackupError as error:
        older = (each for each in shelf.complete(config.directory) if each.name < path.name)
        good = next((each.name for each in older if is_good(config, each)), "")
        raise BackupError(
            f"the backup {path.name} is damaged:\n{error}",
            "nothing was changed; "
            + (
                f"the newest good one before it is {good}, without what was logged later"
                if good
                else "no older is good"
            ),
            f"to restore that one, set mlflow_restore_backup: {good}"
            if good
            else "have another copy of the backups here",
        ) from error


def is_good(config: Config, path: Path) -> bool:
    """Whether a backup can be restored."""
    try:
        making.verify(config, path, shelf.read_record(path))
    except BackupError:
        return False
    return True


def require_permission(config: Config, record: Record, overwrite: bool) -> bool:
    """Return whether there is a database to keep.  Raises BackupError where a restore would replace what is there."""
    root, instead = (
        config.artifact_root,
        "to replace it, set mlflow_restore_overwrite: true; it is kept in before-restore/",
    )
    try:
        status = database(config, "status")
    except BackupError:
        if not overwrite:
            raise
        say(4, "the present database can't be read: it is not dumped before it is replaced")
        return False
    data = has_data(status)
    if data and not overwrite:
        raise BackupError(f"the database holds {data}", "a restore would replace them", instead)
    if record["artifacts"]["method"] != "none" and not is_empty(root) and not overwrite:
        raise BackupError(
            f"there are artifacts in {root}", "a restore would write over those of the same name", instead
        )
    return data != ""


def has_data(status: Record) -> str:
    """Return what people have put into the databases, '' for a server that was only started."""
    counts = status["stores"]["tracking"]["counts"] | status["stores"].get("registry", {}).get("counts", {})
    return ", ".join(f"{counts[table]} {table}" for table, made in _EMPTY.items() if counts.get(table, 0) > made)


def is_empty(root: Path) -> bool:
    """Whether no file is below a directory but those of this collection's own marks."""
    return not any(not name.startswith(".mlflow") for _parent, _dirs, names in os.walk(root) for name in names)


def require_snapshot(record: Record, root: Path) -> None:
    """Raise BackupError where artifacts that no backup has are not what they were."""
    artifacts = record["artifacts"]
    try:
        copies.compare(artifacts["sample"], root)
    except BackupError as error:
        raise BackupError(
            f"the artifacts in {root} are not those of the backup:\n{error}",
            "artifacts are not part of this backup: the share's own snapshots have them",
            f"put the share's snapshot {artifacts['snapshot'] or 'of ' + record['created']} back, and restore again",
        ) from error


def restore(config: Config, path: Path, record: Record, kept: Path | None) -> Record:
    """Put a backup back, artifacts first, and see that they are what was backed up."""
    artifacts, root = record["artifacts"], config.artifact_root
    if artifacts["method"] != "none":
        source = path / "artifacts"
        if artifacts["method"] == "restic":
            source = config.directory / shelf.FETCHED / Path(artifacts["root"]).relative_to("/")
        aside = ["--backup", f"--backup-dir={kept / 'artifacts'}"] if kept else []
        # Their server, where that is a share, has set the root itself up.
        copies.copy_tree(source, root, "--omit-dir-times", *aside)
        copies.compare(artifacts["sample"], root)
    restored = database(config, "restore", path / "database")
    shelf.remove(config.directory / shelf.FETCHED)
    return {
        "name": record["name"],
        "created": record["created"],
        "stores": restored["stores"],
        "sampled": len(artifacts["sample"]),
        "kept": str(kept) if kept else "",
    }
