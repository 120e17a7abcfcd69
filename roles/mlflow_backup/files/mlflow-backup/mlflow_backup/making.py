# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new backup: made, verified, and the oldest dropped."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

from mlflow_backup import copies, shelf
from mlflow_backup.base import Config, Record, database, say

#: Variables whose values are no secrets; of all others only the name is kept.
_PUBLIC = re.compile(
    r"MLFLOW_(HOST|PORT|WORKERS|STATIC_PREFIX|SERVE_ARTIFACTS|DEFAULT_ARTIFACT_ROOT|ARTIFACTS_DESTINATION|SERVER_\w+)"
)


def make(config: Config) -> Record:
    """Make a backup, verify it, and drop those that are too many."""
    started = time.time()
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(started))
    partial, place = config.directory / shelf.PARTIAL, config.directory / name
    warn_of_shared_disk(config)
    shelf.remove(partial)
    partial.mkdir()
    try:
        dumped = database(config, "dump", partial / "database")
        keep_configuration(config, partial / "configuration")
        artifacts = {"method": config.artifacts, "root": str(config.artifact_root)}
        artifacts.update(copies.survey(config.artifact_root, config.sample))
        record: Record = {
            "format": shelf.FORMAT,
            "created": dumped["created"],
            "name": name,
            "mlflow": dumped["mlflow"],
        }
        record.update(stores=dumped["stores"], artifacts=artifacts)
        # In restic's snapshot, too, which may be all that is left one day.
        shelf.write(partial / shelf.RECORD, record)
        artifacts.update(copies.copy_artifacts(config, partial))
        checked = verify(config, partial, record, started)
        record["verified"] = {store: found["scratch"] for store, found in checked["stores"].items()}
        record["seconds"] = round(time.time() - started, 1)
        shelf.write(partial / shelf.RECORD, record)
        os.rename(partial, place)
    except BaseException:
        shelf.remove(partial)
        raise
    for old in shelf.complete(config.directory)[config.keep :]:
        shelf.remove(old)
    if config.artifacts == "restic" and config.restic_forget:
        own = ("--tag", copies.RESTIC_TAG, "--host", socket.gethostname(), "--group-by", "host,tags")
        copies.forget(config, *own, "--keep-last", str(config.keep), "--prune")
    return record


def warn_of_shared_disk(config: Config) -> None:
    """Say so when a broken disk would take the data and their backups."""
    for path in (config.artifact_root, *config.data):
        if path.exists() and path.stat().st_dev == config.directory.stat().st_dev and config.artifacts != "restic":
            say(4, f"{config.directory} is on the same file system as {path}: one broken disk takes both.")


def keep_configuration(config: Config, place: Path) -> None:
    """Keep the service's configuration; of the environment's values only those that are no secrets."""
    place.mkdir()
    for path in config.configuration:
        text = path.read_text(encoding="utf-8", errors="replace")
        if path == config.environment:
            names = (line.partition("=") for line in text.splitlines())
            text = "".join(
                f"{name}{mark}{value if _PUBLIC.fullmatch(name) else '(left out)'}\n"
                for name, mark, value in names
                if mark
            )
        (place / path.name).write_text(text, encoding="utf-8")


def verify(config: Config, path: Path, record: Record, since: float = 0.0) -> Record:
    """See that a backup can be restored: databases into a scratch place, artifacts by their samples."""
    scratch = config.directory / shelf.SCRATCH
    shelf.remove(scratch)
    scratch.mkdir()
    try:
        answer = database(config, "verify", path / "database", "--scratch", scratch)
        artifacts = record["artifacts"]
        if artifacts["method"] == "rsync":
            copies.compare(artifacts["sample"], path / "artifacts", since)
        elif artifacts["method"] == "restic":
            root = Path(artifacts["root"])
            only = [word for name in artifacts["sample"] for word in ("--include", str(root / name))]
            if only:
                copies.restic(config, "restore", artifacts["snapshot"], "--target", scratch, *only)
                copies.compare(artifacts["sample"], scratch / root.relative_to("/"), since)
    finally:
        shelf.remove(scratch)
    return answer
