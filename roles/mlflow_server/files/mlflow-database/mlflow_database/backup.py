# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup: a directory with one dump for each database and a manifest that says what is in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from mlflow_database.database import Checked, Database, RefusalError, State
from mlflow_database.sqlite import fsync_directory

FORMAT = 1
MANIFEST = "manifest.json"
_CHUNK = 1024 * 1024
#: Left free beside what is written.
_RESERVE = 16 * 1024 * 1024

Entry = dict[str, Any]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.  Raises OSError."""
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def described(state: State) -> Entry:
    """Return a state as it is told."""
    return {
        "engine": state.engine,
        "revision": state.revision,
        "bytes": state.size,
        "counts": dict(state.counts),
    }


def _cannot_dump(database: Database) -> Entry:
    """Return why a database can't be dumped, nothing where it can."""
    try:
        database.require_programs()
    except RefusalError as error:
        return {"cannot_dump": error.told()}
    return {}


def status(databases: Mapping[str, Database]) -> Entry:
    """Tell what is in the databases, and what a dump of them would fail on."""
    stores = databases.items()
    return {"stores": {store: {**described(each.state()), **_cannot_dump(each)} for store, each in stores}}


def _require_space(directory: Path, wanted: int, purpose: str) -> None:
    free = shutil.disk_usage(directory).free
    if free < wanted + _RESERVE:
        raise RefusalError(
            f"{directory} has {free // 2**20} MiB free, and {purpose} may take {(wanted + _RESERVE) // 2**20} MiB",
            "it would not fit, and a full disk stops what else writes there",
            "make room there (`df -h`), or choose another directory",
        )


@contextlib.contextmanager
def _work_directory(path: Path) -> Iterator[Path]:
    """Have a directory of our own for the time of a block, without what a killed run has left in it."""
    _remove(path)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        if path.exists():
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # Only what this program makes: flat files.
        for file in path.iterdir():
            file.unlink()
        path.rmdir()


def dump(databases: Mapping[str, Database], directory: Path) -> Entry:
    """Dump all databases into a new directory, which has its name when it is whole.  Raises RefusalError and OSError."""
    if os.path.lexists(directory):
        raise RefusalError(
            f"{directory} exists", "a backup is never written over another one", "name a directory that does not exist"
        )
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_space(directory.parent, sum(database.state().size for database in databases.values()), "the dump")
    manifest: Entry = {"format": FORMAT, "mlflow": metadata.version("mlflow"), "stores": {}}
    with _work_directory(directory.with_name(f"{directory.name}.partial")) as partial:
        for store, database in databases.items():
            # Of the first database: what is logged during the backup may be missing from it.
            manifest.setdefault("created", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            file = partial / f"{store}{database.suffix}"
            state = database.dump(file)
            file.chmod(0o600)
            entry = {"file": file.name, "sha256": digest(file)}
            manifest["stores"][store] = {**described(state), **entry}
        text = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
        (partial / MANIFEST).write_text(text, encoding="utf-8")
        for file in partial.iterdir():
            with open(file, "rb") as stream:
                os.fsync(stream.fileno())
        fsync_directory(partial)
        os.rename(partial, directory)
        fsync_directory(directory.parent)
    return {"directory": str(directory), **manifest}


def _altered(path: Path, found: str) -> RefusalError:
    return RefusalError(
        f"{path}: {found}",
        "the backup was cut short or altered after it was made, and nothing is restored from it",
        "use another backup",
    )


def _read(directory: Path, databases: Mapping[str, Database]) -> dict[str, Entry]:
    """Return what the manifest says of each store, after seeing that the files are as they were written."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
        stores: dict[str, Entry] = manifest["stores"]
        files = {store: (entry["file"], entry["bytes"], entry["sha256"]) for store, entry in stores.items()}
    except FileNotFoundError as error:
        raise RefusalError(
            f"there is no {path}", "it says what is in a backup", "name a directory that `dump` has made"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _altered(path, "not a manifest") from error
    if manifest.get("format") != FORMAT:
        raise RefusalError(
            f"{path} has the format {manifest.get('format')!r}",
            f"this program knows the format {FORMAT}",
            "use the program of the release that made it",
        )
    for store, (name, size, sha256) in files.items():
        file = directory / name
        if os.path.basename(name) != name or not file.is_file():
            raise _altered(file, "not there")
        if file.stat().st_size != size:
            raise _altered(file, f"{file.stat().st_size} bytes long, and was {size}")
        if digest(file) != sha256:
            raise _altered(file, "another SHA-256 than the manifest's")
        engine = databases[store].engine if store in databases else "none"
        if engine != stores[store]["engine"]:
            raise RefusalError(
                f"{directory} has the {store} database as {stores[store]['engine']}, and the server's is {engine}",
                "a dump goes back into the kind of database it was taken from",
                "configure the server with that kind of database, and run this again",
            )
    return stores


def _compare(store: str, entry: Entry, revision: str | None, counts: Mapping[str, int], where: str) -> None:
    differing = {
        table: (counts.get(table), rows) for table, rows in entry["counts"].items() if counts.get(table) != rows
    }
    if differing or revision != entry["revision"]:
        found = [f"{table} has {seen} rows instead of {rows}" for table, (seen, rows) in sorted(differing.items())]
        if revision != entry["revision"]:
            found.append(f"the schema's revision is {revision} instead of {entry['revision']}")
        raise RefusalError(
            f"{where}: {'; '.join(found[:10])} ({store})",
            "it does not hold what the manifest says was dumped",
            "use another backup",
        )


def verify(databases: Mapping[str, Database], directory: Path, scratch: Path) -> Entry:
    """Restore a dump into a scratch place, and compare what is there.  Raises RefusalError and OSError."""
    stores = _read(directory, databases)
    checked: dict[str, Checked] = {}
    with _work_directory(scratch) as place:
        for store, entry in stores.items():
            if databases[store].engine == "sqlite":
                _require_space(place, entry["bytes"], "the scratch copy")
            found = checked[store] = databases[store].check(directory / entry["file"], place)
            _compare(store, entry, found.revision, found.counts, found.scratch)
    return {
        "directory": str(directory),
        "stores": {
            store: {"scratch": found.scratch, "revision": found.revision, "counts": dict(found.counts)}
            for store, found in checked.items()
        },
    }


def restore(databases: Mapping[str, Database], directory: Path) -> Entry:
    """Replace what the databases hold by a dump.  Raises RefusalError and OSError.

    A store that the dump does not have stays as it is.
    """
    stores = _read(directory, databases)
    for store in stores:
        databases[store].require_unused()
    told: dict[str, Entry] = {}
    for store, entry in stores.items():
        note = databases[store].restore(directory / entry["file"])
        state = databases[store].state()
        _compare(store, entry, state.revision, state.counts, "after the restore")
        told[store] = {**described(state), **({"note": note} if note else {})}
    return {"directory": str(directory), "stores": told, "untouched": sorted(databases.keys() - stores.keys())}
