# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of the backups, each of which has its name when it is complete."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from mlflow_backup.base import BackupError, Record

RECORD = "backup.json"
FORMAT = 1
PARTIAL, SCRATCH, FETCHED, LOCK = ".partial", ".scratch", ".fetched", ".lock"
_NAME = re.compile(r"\d{8}T\d{6}Z")


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the only one at work in the backups' directory for the time of a block."""
    with open(directory / LOCK, "w", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BackupError(
                f"another backup or restore is at work in {directory}",
                "two would disturb each other",
                "wait for its end (`systemctl status mlflow-backup`)",
            ) from error
        yield


def complete(directory: Path) -> list[Path]:
    """Return the complete backups, the newest first."""
    found = (path for path in directory.iterdir() if _NAME.fullmatch(path.name) and (path / RECORD).is_file())
    return sorted(found, reverse=True)


def read_record(path: Path) -> Record:
    """Return what is in a backup.  Raises BackupError when it can't be known."""
    try:
        record: Record = json.loads((path / RECORD).read_bytes())
        if record["format"] == FORMAT:
            return record
        found = f"{path / RECORD} has the format {record['format']!r}, and this program knows {FORMAT}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"{path / RECORD} can't be read: {error}"
    raise BackupError(found, "it says what is in the backup", "use another backup, or the program that made it")


def write(path: Path, record: Record) -> None:
    """Write JSON, on disk when this returns."""
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=2, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())


def remove(path: Path) -> None:
    """Remove a directory of our own, which a killed run may have left."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
