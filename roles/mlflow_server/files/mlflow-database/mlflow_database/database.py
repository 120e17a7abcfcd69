# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of database can do here, and how it says that it can't."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

#: Tables in which Alembic keeps the revision of the schema; the second is newer releases' for users and permissions.
VERSION_TABLES = ("alembic_version", "alembic_version_auth")
#: Seconds to wait for a server's connection, and for somebody else's lock.
CONNECT_TIMEOUT = 10
LOCK_TIMEOUT = 60

Counts = Mapping[str, int]


class RefusalError(Exception):
    """Something can't be done: what was found, why it is wrong, what to do instead."""

    def __init__(self, found: str, why: str, instead: str) -> None:
        super().__init__(found)
        self.found, self.why, self.instead = found, why, instead

    def told(self) -> dict[str, str]:
        """Return it as it is told."""
        return {"found": self.found, "why": self.why, "instead": self.instead}


def read_tables(
    names: Iterable[str], dialect: sqlalchemy.Dialect, first: Callable[[str], Any]
) -> tuple[dict[str, int], dict[str, str]]:
    """Return rows by table, and revisions by version table; ``first`` gives the first value that a query finds."""

    def query(what: sqlalchemy.ColumnElement[Any], name: str) -> str:
        return str(sqlalchemy.select(what).select_from(sqlalchemy.table(name)).compile(dialect=dialect))

    counts = {name: int(first(query(sqlalchemy.func.count(), name))) for name in sorted(names)}
    version: sqlalchemy.ColumnElement[Any] = sqlalchemy.column("version_num")
    found = {name: first(query(version, name)) for name in VERSION_TABLES if counts.get(name)}
    return counts, {name: str(revision) for name, revision in found.items()}


@dataclass(frozen=True)
class State:
    """A database at one moment: ``counts`` are rows by table, ``size`` its bytes; empty without a ``revision``."""

    engine: str
    revision: str | None
    size: int
    counts: Counts


@dataclass(frozen=True)
class Checked:
    """What was found in a dump that was restored to ``scratch``, as words for people."""

    scratch: str
    revision: str | None
    counts: Counts


class Database(abc.ABC):
    """A database of the server."""

    engine: str
    #: The end of its dumps' names.
    suffix: str

    def __init__(self, store: str) -> None:
        #: Of tracking, registry and auth the one that this database is for.
        self.store = store

    @property
    @abc.abstractmethod
    def identity(self) -> tuple[str, ...]:
        """What two addresses of the same database have in common."""

    @abc.abstractmethod
    def state(self) -> State:
        """Look at the database.  Raises RefusalError when it can't be reached or read."""

    @abc.abstractmethod
    def require_programs(self) -> None:
        """Raise RefusalError where the programs that dump and restore the database are absent, or too old for it."""

    @abc.abstractmethod
    def dump(self, path: Path) -> State:
        """Write a consistent dump to a new file, and return what is in that dump.  Raises RefusalError."""

    @abc.abstractmethod
    def check(self, path: Path, scratch: Path) -> Checked:
        """Restore a dump to a scratch place, read it there, and remove it again.  Raises RefusalError."""

    @abc.abstractmethod
    def require_unused(self) -> None:
        """Raise RefusalError while somebody else has the database open."""

    @abc.abstractmethod
    def restore(self, path: Path) -> str:
        """Replace what the database holds by a dump, and return what else there is to say.  Raises RefusalError."""

    def revision_of(self, versions: Mapping[str, str]) -> str | None:
        """Return the revision of this store's schema out of those by version table.

        Releases before 3.2 keep the users' revision in the same table name as the runs'.
        """
        names = reversed(VERSION_TABLES) if self.store == "auth" else VERSION_TABLES[:1]
        return next((versions[name] for name in names if name in versions), None)
