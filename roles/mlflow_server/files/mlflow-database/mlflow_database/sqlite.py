# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite: copied by its own backup API, restored as a new file that takes the old one's place.

Source: SQLite's "Online Backup API", "Write-Ahead Logging" and "How To Corrupt An SQLite Database File".
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.dialects import sqlite

from mlflow_database.database import LOCK_TIMEOUT, Checked, Database, RefusalError, State, read_tables

#: Files beside the database that belong to it: one of another database's would be played into it.
_COMPANIONS = ("-wal", "-shm", "-journal")
_MODE = 0o660
#: SQLITE_BUSY and SQLITE_LOCKED, which Python 3.10 has no names for.
_BUSY = (5, 6)
_DIALECT = sqlite.dialect()


def fsync_directory(path: Path) -> None:
    """Have the names in a directory on disk.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DamagedError(RefusalError):
    """The file is not a sound database."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(
            f"{path} is damaged: {text}",
            "what is read from it can't be trusted, and a copy would be damaged, too",
            "keep the file, restore the newest good backup, and have the disk checked; "
            "`sqlite3 FILE .recover` may save what is newer",
        )


def _refusal(path: Path, error: sqlite3.DatabaseError) -> RefusalError:
    """Return what SQLite's message means; Python 3.10 has no codes for it."""
    text = str(error)
    if "is full" in text:
        return RefusalError(
            f"no space is left beside {path}", "the file could not be completed", "make room there, and run this again"
        )
    if "locked" in text:
        return RefusalError(
            f"{path} is locked",
            f"another process has held it for {LOCK_TIMEOUT} s",
            f"see `fuser --verbose {path}`, end that process, and run this again",
        )
    if "malformed" in text or "not a database" in text:
        return DamagedError(path, text)
    return RefusalError(
        f"{path}: {text}", "SQLite can't go on", "see that the file and its directory are this account's"
    )


@contextlib.contextmanager
def _opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """Open a file, and tell SQLite's errors as what was found."""
    try:
        uri = f"file:{quote(str(path))}?mode={mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT, isolation_level=None)) as opened:
            yield opened
    except sqlite3.DatabaseError as error:
        raise _refusal(path, error) from error


def _read(connection: sqlite3.Connection) -> tuple[dict[str, int], dict[str, str]]:
    """Return rows by table, and revisions by version table."""
    query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    names = [str(row[0]) for row in connection.execute(query)]
    return read_tables(names, _DIALECT, lambda query: connection.execute(query).fetchone()[0])


def _require_sound(connection: sqlite3.Connection, path: Path, check: str) -> None:
    found = [str(row[0]) for row in connection.execute(f"PRAGMA {check}(3)")]
    if found != ["ok"]:
        raise DamagedError(path, "; ".join(found))


class Sqlite(Database):
    """A file of SQLite."""

    engine = "sqlite"
    suffix = ".sqlite"

    def __init__(self, store: str, url: sqlalchemy.URL) -> None:
        super().__init__(store)
        if not (url.database or "").startswith("/"):
            raise RefusalError(
                f"the {store} database is {url.render_as_string()!r}, which names no absolute path",
                "where the file is depends on where the server starts",
                "write sqlite:// and an absolute path, four slashes in all",
            )
        # A link may be what the address names: the file is what gets replaced.
        self.path = Path(os.path.realpath(str(url.database)))

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.engine, str(self.path))

    def state(self) -> State:
        if not self.path.exists():
            return State(self.engine, None, 0, {})
        with _opened(self.path) as connection:
            connection.execute("BEGIN")
            counts, versions = _read(connection)
            ((size,),) = connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return State(self.engine, self.revision_of(versions), int(size), counts)

    def require_programs(self) -> None:
        """Python has all that is needed."""

    def dump(self, path: Path) -> State:
        if not self.path.exists():
            raise RefusalError(
                f"there is no {self.path}",
                "the server makes it at its first start; if it was there, something has removed it",
                "start the server first, or restore a backup",
            )
        started = time.monotonic()

        def give_up(status: int, _remaining: int, _total: int) -> None:
            # Python would wait for a lock for ever.
            if status in _BUSY and time.monotonic() - started > LOCK_TIMEOUT:
                raise sqlite3.OperationalError(f"locked for {LOCK_TIMEOUT} s")

        with _opened(self.path) as source, _opened(path, "rwc") as copy:
            # In one step: a copy in parts starts over whenever the server writes.
            source.backup(copy, progress=give_up)
            # One file, whatever the server uses: what stands beside it would not be in the manifest.
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_sound(copy, self.path, "quick_check")
            counts, versions = _read(copy)
        return State(self.engine, self.revision_of(versions), path.stat().st_size, counts)

    def check(self, path: Path, scratch: Path) -> Checked:
        place = scratch / path.name
        try:
            shutil.copyfile(path, place)
            with _opened(place) as connection:
                _require_sound(connection, path, "integrity_check")
                counts, versions = _read(connection)
        finally:
            place.unlink(missing_ok=True)
        return Checked(f"a copy in {scratch}", self.revision_of(versions), counts)

    def require_unused(self) -> None:
        """A writer would go on writing to the file that was replaced, and lose it."""
        files = {str(self.path), *(f"{self.path}{end}" for end in _COMPANIONS)}
        for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
            with contextlib.suppress(OSError):
                process = descriptor.parts[2]
                if os.readlink(descriptor) in files and int(process) != os.getpid():
                    command = Path("/proc", process, "comm").read_text(encoding="utf-8").strip()
                    raise RefusalError(
                        f"process {process} ({command}) has {self.path} open",
                        "what it writes would go to the file that is replaced, and be lost",
                        "stop the server (`systemctl stop mlflow`), and run this again",
                    )

    def restore(self, path: Path) -> str:
        fresh = self.path.with_name(f".{self.path.name}.restored")
        fresh.unlink(missing_ok=True)
        wal = self._uses_wal()
        try:
            shutil.copyfile(path, fresh)
            with _opened(fresh) as connection:
                connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
            self._take_over_owner(fresh)
            with open(fresh, "rb") as stream:
                os.fsync(stream.fileno())
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        aside = self._make_way()
        os.replace(fresh, self.path)
        fsync_directory(self.path.parent)
        return f"the damaged file is kept as {aside}" if aside else ""

    def _uses_wal(self) -> bool:
        """Whether the file that is there is in WAL mode (file format 2.1.3): the server's owner has chosen that."""
        try:
            with open(self.path, "rb") as stream:
                header = stream.read(20)
        except FileNotFoundError:
            return False
        return header[18:20] == b"\x02\x02"

    def _take_over_owner(self, fresh: Path) -> None:
        there = self.path.exists()
        model = (self.path if there else self.path.parent).stat()
        os.chmod(fresh, model.st_mode & 0o777 if there else _MODE)
        if (model.st_uid, model.st_gid) != (fresh.stat().st_uid, fresh.stat().st_gid):
            os.chown(fresh, model.st_uid, model.st_gid)

    def _make_way(self) -> str:
        """Have nothing left that would be played into the new file; return where a damaged database was put.

        SQLite takes its log and its journal into the file they belong to.  What it can't read is kept under
        another name, all of it together.
        """
        sound = False
        if self.path.exists():
            with contextlib.suppress(DamagedError), _opened(self.path) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("ROLLBACK")
                _require_sound(connection, self.path, "quick_check")
                sound = True
        # The database last: while it is there, its log must be its own.
        left = [end for end in _COMPANIONS if Path(f"{self.path}{end}").exists()]
        left += [""] if self.path.exists() and (left or not sound) else []
        aside = f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        for end in left:
            os.replace(f"{self.path}{end}", f"{aside}{end}")
        return aside if left else ""
