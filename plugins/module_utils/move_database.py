# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and rewrite the artifact locations in an MLflow database, with the SQLAlchemy of any release.

Rows are compared in Python, not in SQL: a LIKE has wildcards, a collation of MariaDB folds case and blanks, and none
of them knows that ``file:///a/b`` lies in ``/a``.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import move_columns, move_location
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_columns import Column
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

SQLALCHEMY_IMPORT_ERROR: Optional[str]
try:
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError
except ImportError:
    SQLALCHEMY_IMPORT_ERROR = traceback.format_exc()
    DATABASE_ERRORS: tuple[type[Exception], ...] = ()
else:
    SQLALCHEMY_IMPORT_ERROR = None
    DATABASE_ERRORS = (SQLAlchemyError,)

_PASSWORD = re.compile(r"://[^\s@/]*(?:/[^\s@]*)?@")

_AT_ONCE = 1000
_SHOWN = 5
_LONGEST = 300


@dataclass(frozen=True)
class Change:
    """One value that changes; ``key`` is the row's primary key, by column."""

    table: str
    column: str
    key: dict[str, Any]
    old: str
    new: str


@dataclass(frozen=True)
class Survey:
    """What a database has of a root.

    ``changes`` are the locations that would change, ``rows`` how many by column, ``mentions`` counts values elsewhere
    that name the root, which are people's words and stay.
    """

    changes: tuple[Change, ...]
    rows: dict[str, int]
    mentions: dict[str, int]
    problems: tuple[Problem, ...]


class Database:
    """A connection in one transaction, to be committed or rolled back by :func:`opened`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._schema = sqlalchemy.MetaData()
        self._schema.reflect(bind=connection)
        self.dialect: str = connection.dialect.name

    def _columns(self) -> Iterator[tuple[Column, Any]]:
        """Yield the columns of locations that this release's schema has, with their tables."""
        for column in move_columns.LOCATIONS:
            table = self._schema.tables.get(column.table)
            if table is not None and column.name in table.columns:
                yield column, table

    def _values(self, column: Column, table: Any) -> Iterator[tuple[dict[str, Any], str]]:
        key = list(table.primary_key.columns)
        query = sqlalchemy.select(*key, table.columns[column.name].label("location"))
        if column.keys:
            query = query.where(table.columns["key"].in_(column.keys))
        # Of the statement, not of the connection: a cursor on the server can't write.
        result = self._connection.execute(query.execution_options(stream_results=True))
        for row in result.yield_per(_AT_ONCE):
            *values, location = row
            if location:
                yield dict(zip((part.name for part in key), values)), str(location)

    def survey(self, source: Root, target: Root, accepted: Sequence[str] = ()) -> Survey:
        """Return what moving from ``source`` to ``target`` changes, and what is in its way.

        ``accepted`` are columns, as ``table.column``, that sound like locations and may keep naming the old root.
        """
        changes: list[Change] = []
        problems: list[Problem] = []
        rows: dict[str, int] = {}
        for column, table in self._columns():
            limit = getattr(table.columns[column.name].type, "length", None)
            for key, old in self._values(column, table):
                try:
                    new = move_location.translate(old, source, target)
                except move_location.UnclearError as error:
                    problems.append(_unclear(column, key, old, error))
                    continue
                if new is None or new == old:
                    continue
                if limit is not None and len(new) > limit:
                    problems.append(_too_long(column, new, limit))
                rows[str(column)] = rows.get(str(column), 0) + 1
                changes.append(Change(column.table, column.name, key, old, new))
        mentions = self._mentions(source)
        problems += [
            _unknown(name, count, source)
            for name, count in mentions.items()
            if name not in move_columns.WORDS
            and name not in accepted
            and move_columns.SOUNDS_LIKE_LOCATION.search(name.partition(".")[2])
        ]
        return Survey(tuple(changes), rows, mentions, tuple(problems[:_SHOWN]))

    def _mentions(self, source: Root) -> dict[str, int]:
        """Return for each other column of texts how many of its values have the root's text in them."""
        found = {}
        whole = {(column.table, column.name) for column, _table in self._columns() if not column.keys}
        keyed = {(column.table, column.name): column.keys for column, _table in self._columns() if column.keys}
        for table in self._schema.sorted_tables:
            for column in table.columns:
                place = (table.name, column.name)
                if place in whole or not isinstance(column.type, (sqlalchemy.String, sqlalchemy.JSON)):
                    continue
                query = sqlalchemy.select(sqlalchemy.func.count()).where(self._contains(column, source.text))
                if place in keyed:
                    query = query.where(table.columns["key"].not_in(keyed[place]))
                count = int(self._connection.execute(query).scalar_one())
                if count:
                    found[f"{table.name}.{column.name}"] = count
        return found

    def _contains(self, column: Any, text: str) -> Any:
        """Return the condition that a column has a text in it, taken literally."""
        value = sqlalchemy.cast(column, sqlalchemy.Text) if self.dialect == "postgresql" else column
        find = {"postgresql": "strpos", "mssql": "charindex"}.get(self.dialect, "instr")
        pair = (text, value) if find == "charindex" else (value, text)
        return getattr(sqlalchemy.func, find)(*pair) > 0

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield the numbers and artifact locations of the runs that are not deleted."""
        table = self._schema.tables["runs"]
        query = sqlalchemy.select(table.columns["run_uuid"], table.columns["artifact_uri"])
        query = query.where(table.columns["lifecycle_stage"] == "active").order_by(table.columns["run_uuid"])
        for run_id, location in self._connection.execute(query):
            yield str(run_id), str(location or "")

    def apply(self, changes: Sequence[Change]) -> int:
        """Write the new values, each only where the old one still stands; return how many were."""
        written = 0
        for change in changes:
            table = self._schema.tables[change.table]
            statement = table.update().values({change.column: change.new})
            for name, value in change.key.items():
                statement = statement.where(table.columns[name] == value)
            statement = statement.where(table.columns[change.column] == change.old)
            written += int(self._connection.execute(statement).rowcount)
        return written


def _unclear(column: Column, key: dict[str, Any], old: str, error: Exception) -> Problem:
    row = ", ".join(f"{name} {value}" for name, value in key.items())
    return Problem(
        f"{column} of {row} is {shown(old)}",
        str(error),
        "move to direct access, or rename that directory and the stored location first",
    )


def shown(text: str) -> str:
    """Return a stored value for a message, in one line."""
    return ascii(text) if len(text) <= _LONGEST else ascii(text[:_LONGEST]) + "…"


def _too_long(column: Column, new: str, limit: int) -> Problem:
    return Problem(
        f"{column} would become {shown(new)}, {len(new)} characters",
        f"MLflow's column holds {limit}",
        "choose a shorter artifact root",
    )


def _unknown(name: str, count: int, source: Root) -> Problem:
    return Problem(
        f"{name} has {count} values that name {source.text}",
        "it sounds like a column of locations that this collection does not know, so that something would stay behind",
        f"look at its values; where they may stay as they are, list {name} in mlflow_artifact_move_accepted_columns",
    )


def told(error: Exception) -> str:
    """Return an error of SQLAlchemy for a message: its text, without an address's credentials."""
    return f"the database: {_PASSWORD.sub('://…@', str(error))}"


@contextmanager
def opened(uri: str, write: bool = False) -> Iterator[Database]:
    """Yield a database in one transaction, which is committed at the end when ``write``, else rolled back.

    Raises sqlalchemy.exc.SQLAlchemyError; its text may hold the address's user and host, not its password.
    """
    engine = sqlalchemy.create_engine(uri, hide_parameters=True)
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            if write and connection.dialect.name == "sqlite":
                # Its driver would begin with the first change only, after what the change was made from was read.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield Database(connection)
            if write:
                transaction.commit()
            else:
                transaction.rollback()
    finally:
        engine.dispose()


def reversed_changes(changes: Sequence[dict[str, Any]]) -> list[Change]:
    """Return the changes that take recorded ones back, the last first."""
    return [
        Change(one["table"], one["column"], one["key"], old=one["new"], new=one["old"]) for one in reversed(changes)
    ]


def as_record(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return changes as they are written to a move's record."""
    return [asdict(change) for change in changes]
