# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts: counted and sampled, copied by rsync or restic, and compared."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Mapping
from pathlib import Path

from mlflow_backup import shelf
from mlflow_backup.base import BackupError, Config, Record, run

RESTIC_TAG = "mlflow"
_CHANCE = random.SystemRandom()


def digest(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal.  Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1024 * 1024):
            found.update(chunk)
    return found.hexdigest()


def survey(root: Path, wanted: int) -> Record:
    """Count the files below a directory, and take the SHA-256 of some, chosen by chance.

    Raises BackupError when some of it can't be read: a backup without it would not be one.
    """

    def refuse(error: OSError) -> None:
        raise BackupError(
            f"{error.filename} can't be read: {error.strerror}",
            "artifacts that this account can't read are not backed up",
            "give the server's account the right to read them (the role mlflow_directories does for what is new)",
        )

    files = size = 0
    chosen: list[Path] = []
    for parent, _directories, names in os.walk(root, onerror=refuse):
        for name in names:
            path = Path(parent, name)
            if path.is_symlink() or not path.is_file():
                continue
            files, size = files + 1, size + path.stat().st_size
            # Every file has the same chance (reservoir sampling).
            if len(chosen) < wanted:
                chosen.append(path)
            elif (place := _CHANCE.randrange(files)) < wanted:
                chosen[place] = path
    try:
        hashes = {str(path.relative_to(root)): digest(path) for path in chosen}
    except OSError as error:
        refuse(error)
    return {"files": files, "bytes": size, "sample": hashes}


def compare(sample: Mapping[str, str], place: Path, since: float = 0.0) -> None:
    """See that the sampled files are in a directory as they were.

    Raises BackupError, but not for files that were written after the time ``since``.
    """
    for name, wanted in sample.items():
        path = place / name
        found = digest(path) if path.is_file() else "absent"
        if found != wanted and not (since and path.is_file() and path.stat().st_mtime >= since):
            raise BackupError(
                f"{path} is {'not there' if found == 'absent' else 'not the file that was sampled'}",
                f"its SHA-256 was {wanted}, and is {found}",
                "use another backup, and have the disk looked at",
            )


def restic(config: Config, *arguments: str | Path) -> str:
    """Run restic on the repository."""
    given = {"RESTIC_REPOSITORY": config.restic_repository, "RESTIC_PASSWORD_FILE": config.restic_password_file}
    instead = "mend what it says: is the repository reached from here, and its password file this account's to read?"
    return run(["restic", "--quiet", *arguments], instead, given)


def forget(config: Config, *arguments: str) -> None:
    """Drop snapshots that are too many."""
    try:
        restic(config, "forget", *arguments)
    except BackupError as error:
        raise BackupError(
            f"the backup is made, and old ones could not be dropped: {error.found}",
            "they would fill the repository",
            "set mlflow_backup_restic_forget: false where it only appends and drops them itself, or mend what it says",
        ) from error


def copy_artifacts(config: Config, partial: Path) -> Record:
    """Copy the artifacts in the way that was chosen, or ask how their snapshot is called."""
    if config.artifacts == "none":
        if not config.snapshot_command:
            return {"snapshot": None}
        said = run(config.snapshot_command, "mend the command in mlflow_backup_snapshot_command")
        return {"snapshot": next(iter(said.strip().splitlines()), "")}
    if config.artifacts == "restic":
        try:
            restic(config, "cat", "config")
        except BackupError:
            restic(config, "init")
        told = restic(config, "backup", "--json", "--tag", RESTIC_TAG, partial, config.artifact_root)
        return {"snapshot": json.loads(told.splitlines()[-1])["snapshot_id"]}
    place = partial / "artifacts"
    # What did not change since the last backup takes no space again.
    links = [
        f"--link-dest={path / 'artifacts'}"
        for path in shelf.complete(config.directory)
        if (path / "artifacts").is_dir()
    ]
    copy_tree(config.artifact_root, place, *links[:1])
    return {"snapshot": None}


def copy_tree(source: Path, target: Path, *options: str) -> None:
    """Copy a directory's content.  Owners are this account's affair: it could not give files away."""
    flags = ["--archive", "--no-owner", "--no-group", "--numeric-ids", *options]
    run(
        ["rsync", *flags, f"{source}/", f"{target}/"],
        "make room (`df -h`), or mend what rsync says, and start it again",
    )
