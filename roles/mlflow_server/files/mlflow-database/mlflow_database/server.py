# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases with a server: a connection, rows to count, and programs of their own for dumps."""

from __future__ import annotations

import abc
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import sqlalchemy
from sqlalchemy.exc import DBAPIError, NoSuchModuleError

from mlflow_database.database import Checked, Database, RefusalError, State, read_tables

#: Seconds for the connections of a server that was just stopped to go away.
_GOODBYE = 20
_SCRATCH = "_verify_scratch"


def installed(names: Sequence[str], package: str) -> str:
    """Return the path of the first of these programs that is there.  Raises RefusalError."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise RefusalError(
        f"there is no program {names[0]} on this host",
        "a database is dumped and restored by its own programs",
        f"install {package}, at least as new as the database's server",
    )


@contextlib.contextmanager
def _client(argv: Sequence[str], environment: Mapping[str, str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of the database's while the block uses its pipe, and see that it succeeds.

    Raises RefusalError with what the program said.
    """
    with tempfile.TemporaryFile() as errors:
        # Killed along with this process: it must not go on writing to the database alone.
        command = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        process = subprocess.Popen(command, env=dict(environment), stderr=errors, **streams)
        try:
            yield process
        except BrokenPipeError:
            # It has ended, and says why; if it is another one's pipe, that one does.
            if process.stdin is None:
                process.kill()
                raise
        except BaseException:
            process.kill()
            raise
        finally:
            for stream in filter(None, (process.stdin, process.stdout)):
                with contextlib.suppress(OSError):
                    stream.close()
            process.wait()
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise RefusalError(
            f"{Path(argv[0]).name} failed: {said[-2000:] or f'exit code {process.returncode}'}",
            "the database's own program could not finish",
            "mend what it says, and run this again",
        )


def run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run a program of the database's.  Raises RefusalError with what it said."""
    with _client(argv, environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        pass


@contextlib.contextmanager
def reader(argv: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int] = ()) -> Iterator[IO[bytes]]:
    """Let a block read what a program of the database's writes.  Raises RefusalError with what it said."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    with _client(argv, environment, pass_fds=pass_fds, **streams) as process:
        yield cast(IO[bytes], process.stdout)


@contextlib.contextmanager
def writer(argv: Sequence[str], environment: Mapping[str, str], pass_fds: Sequence[int] = ()) -> Iterator[IO[bytes]]:
    """Let a block write what a program of the database's reads.  Raises RefusalError with what it said."""
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with _client(argv, environment, pass_fds=pass_fds, **streams) as process:
        yield cast(IO[bytes], process.stdin)


class Server(Database):
    """A database that is reached through a server."""

    def __init__(self, store: str, url: sqlalchemy.URL) -> None:
        super().__init__(store)
        self.url = url

    @property
    def identity(self) -> tuple[str, ...]:
        host = self.url.host or str(self.url.query.get("host", self.url.query.get("unix_socket", "")))
        return (self.engine, host, str(self.url.port or ""), self.url.database or "")

    @property
    def name(self) -> str:
        """The database as people know it."""
        return f"{self.engine} database {self.url.database!r} on {self.url.host or 'this host'}"

    @property
    @abc.abstractmethod
    def connect_arguments(self) -> Mapping[str, Any]:
        """What the driver takes besides the address."""

    @abc.abstractmethod
    def is_denied(self, error: DBAPIError) -> bool:
        """Whether the server says that the account may not do it."""

    @abc.abstractmethod
    def create_scratch(self, name: str) -> str:
        """Return the statement that makes an empty database."""

    @abc.abstractmethod
    def size(self, connection: sqlalchemy.Connection) -> int:
        """Return the bytes of the tables."""

    @abc.abstractmethod
    def sessions(self, connection: sqlalchemy.Connection) -> list[str]:
        """Return who else is connected to the database with this account."""

    @abc.abstractmethod
    def load(self, path: Path) -> None:
        """Replace the tables by those of a dump.  Raises RefusalError."""

    @abc.abstractmethod
    def read_dump(self, path: Path) -> tuple[dict[str, int], dict[str, str]]:
        """Return rows by table, and revisions by version table, from a dump alone.  Raises RefusalError."""

    @contextlib.contextmanager
    def connection(self, **options: Any) -> Iterator[sqlalchemy.Connection]:
        """Connect for the time of a block, and tell the driver's errors as what was found."""
        try:
            pool = sqlalchemy.pool.NullPool
            engine = sqlalchemy.create_engine(self.url, poolclass=pool, connect_args=dict(self.connect_arguments))
            with engine.connect().execution_options(**options) as connection:
                yield connection
        except (ImportError, NoSuchModuleError) as error:
            raise RefusalError(
                f"there is no driver {self.url.drivername}: {error}",
                "the server's virtual environment has the drivers psycopg and pymysql",
                "write postgresql+psycopg:// or mysql+pymysql://, or add the driver to the server's packages",
            ) from error
        except DBAPIError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: DBAPIError) -> RefusalError:
        said = " ".join(str(error.orig).split())
        if self.url.password:
            said = said.replace(str(self.url.password), "…")
        return RefusalError(
            f"{self.name}: {said[:1000]}",
            "the database could not be asked",
            "see that it runs, is reached from here, and takes the name and password in the environment file",
        )

    def read(self, connection: sqlalchemy.Connection) -> tuple[dict[str, int], dict[str, str]]:
        """Return rows by table, and revisions by version table."""
        names = sqlalchemy.inspect(connection).get_table_names()
        return read_tables(names, connection.dialect, lambda query: connection.exec_driver_sql(query).scalar())

    def state(self) -> State:
        with self.connection() as connection:
            counts, versions = self.read(connection)
            return State(self.engine, self.revision_of(versions), self.size(connection), counts)

    def check(self, path: Path, _scratch: Path) -> Checked:
        with self._scratch_database() as other:
            if other is None:
                counts, versions = self.read_dump(path)
                where = "no database, for the account may not create one: every row was read from the dump"
            else:
                other.load(path)
                with other.connection() as connection:
                    counts, versions = other.read(connection)
                where = other.name
        return Checked(where, self.revision_of(versions), counts)

    @contextlib.contextmanager
    def _scratch_database(self) -> Iterator[Server | None]:
        """Have an empty database on the same server for the time of a block, None where that isn't allowed."""
        name = f"{(self.url.database or '')[:48]}{_SCRATCH}"
        with self.connection(isolation_level="AUTOCOMMIT") as connection:
            drop = f"DROP DATABASE IF EXISTS {connection.dialect.identifier_preparer.quote(name)}"
            try:
                # One that a killed run has left.
                connection.exec_driver_sql(drop)
                connection.exec_driver_sql(self.create_scratch(connection.dialect.identifier_preparer.quote(name)))
            except DBAPIError as error:
                if not self.is_denied(error):
                    raise
                name = ""
        if not name:
            yield None
            return
        try:
            yield type(self)(self.store, self.url.set(database=name))
        finally:
            with self.connection(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql(drop)

    def require_unused(self) -> None:
        deadline = time.monotonic() + _GOODBYE
        while True:
            with self.connection() as connection:
                found = self.sessions(connection)
            if not found:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        raise RefusalError(
            f"{self.name} is in use by {', '.join(found[:5])}",
            "what a running server writes would be lost, or stand among the restored data",
            "stop every server of this database (`systemctl stop mlflow`), and run this again",
        )

    def restore(self, path: Path) -> str:
        self.load(path)
        return ""
