# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: dumped by pg_dump in the snapshot in which the rows are counted, restored in one transaction.

Source: PostgreSQL's manual, "pg_dump", "pg_restore", "System Administration Functions" (pg_export_snapshot)
and libpq's "Environment Variables".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.exc import DBAPIError

from mlflow_database.database import CONNECT_TIMEOUT, VERSION_TABLES, RefusalError, State
from mlflow_database.server import Server, installed, reader, run, writer

_PACKAGE = "postgresql-client"
_DENIED = "42501"
_VERSION = re.compile(rb"\(PostgreSQL\) (\d+)")
#: The first release that knows the setting transaction_timeout.
_RELEASE_17 = 170000
#: libpq's parameters that its programs take from the environment, where no other account can see them.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "channel_binding": "PGCHANNELBINDING",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}
#: What is there of the account's own, in an order in which it can be dropped: views before their tables,
#: tables in one statement for their foreign keys, functions after the triggers that call them.
_DROPS = """
SELECT 'DROP VIEW ' || string_agg(oid::regclass::text, ', ') FROM own WHERE kind = 'v'
UNION ALL SELECT 'DROP MATERIALIZED VIEW ' || string_agg(oid::regclass::text, ', ') FROM own WHERE kind = 'm'
UNION ALL SELECT 'DROP TABLE ' || string_agg(oid::regclass::text, ', ') FROM own WHERE kind IN ('r', 'p')
UNION ALL SELECT 'DROP ROUTINE ' || string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p
  WHERE p.pronamespace = current_schema()::regnamespace AND pg_get_userbyid(p.proowner) = current_user
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""
_OWN = """
WITH own AS (
  SELECT c.oid, c.relkind AS kind FROM pg_class c
  WHERE c.relnamespace = current_schema()::regnamespace AND pg_get_userbyid(c.relowner) = current_user
  AND NOT c.relispartition AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
)
"""
_SIZE = """
SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""
_SESSIONS = """
SELECT 'process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '')
  || coalesce(' from ' || host(client_addr), '')
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
  AND backend_type = 'client backend'
"""


def without_unknown_settings(script: Iterable[bytes], server_version: int) -> Iterator[bytes]:
    """Yield a restore script's lines without the setting that a server older than its programs refuses."""
    in_head = server_version < _RELEASE_17
    for line in script:
        in_head = in_head and not line.startswith((b"CREATE ", b"COPY "))
        if not (in_head and line.startswith(b"SET transaction_timeout ")):
            yield line


def major_version(told: bytes) -> int:
    """Return the major version in what a program's ``--version`` prints, 0 where there is none."""
    found = _VERSION.search(told)
    return int(found[1]) if found else 0


def rows_in(script: Iterable[bytes]) -> tuple[dict[str, int], dict[str, str]]:
    """Return rows by table, and revisions by version table, of a restore script."""
    counts: dict[str, int] = {}
    versions: dict[str, str] = {}
    table = ""
    for line in script:
        if table and line == b"\\.\n":
            table = ""
        elif table:
            counts[table] += 1
            if table in VERSION_TABLES:
                versions[table] = line.decode().strip()
        elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            table = line.split(b" ")[1].decode().rpartition(".")[2].strip('"')
            counts[table] = 0
    return counts, versions


class Postgresql(Server):
    """A database of PostgreSQL: what the account owns in its current schema."""

    engine = "postgresql"
    suffix = ".pgdump"

    @property
    def connect_arguments(self) -> Mapping[str, Any]:
        return {} if "connect_timeout" in self.url.query else {"connect_timeout": CONNECT_TIMEOUT}

    def is_denied(self, error: DBAPIError) -> bool:
        # By psycopg's name, or by psycopg2's.
        return _DENIED in (getattr(error.orig, "sqlstate", None), getattr(error.orig, "pgcode", None))

    def create_scratch(self, name: str) -> str:
        return f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"

    def size(self, connection: sqlalchemy.Connection) -> int:
        return int(connection.exec_driver_sql(_SIZE).scalar_one())

    def sessions(self, connection: sqlalchemy.Connection) -> list[str]:
        return [str(row[0]) for row in connection.exec_driver_sql(_SESSIONS)]

    def _environment(self) -> dict[str, str]:
        arguments = self.url.get_dialect()().create_connect_args(self.url)[1]
        given = {_VARIABLES[name]: str(value) for name, value in arguments.items() if name in _VARIABLES}
        return {**os.environ, "PGCONNECT_TIMEOUT": str(CONNECT_TIMEOUT), **given}

    def require_programs(self) -> None:
        program, *_others = (installed([name], _PACKAGE) for name in ("pg_dump", "pg_restore", "psql"))
        with reader([program, "--version"], self._environment()) as told:
            ours = major_version(told.read())
        with self.connection() as connection:
            theirs = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10000
        if ours and ours < theirs:
            raise RefusalError(
                f"{program} is of PostgreSQL {ours}, and the {self.name} is of {theirs}",
                "it dumps no database of a server newer than itself",
                f"install postgresql-client-{theirs} or newer on this host (RHEL: postgresql{theirs}); PostgreSQL's own "
                "repositories, apt.postgresql.org and yum.postgresql.org, have it for older distributions",
            )

    def dump(self, path: Path) -> State:
        self.require_programs()
        program = installed(["pg_dump"], _PACKAGE)
        with self.connection(isolation_level="REPEATABLE READ") as connection:
            snapshot = connection.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
            schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
            counts, versions = self.read(connection)
            options = ["--format=custom", "--no-password", f"--schema={schema}", f"--snapshot={snapshot}"]
            run([program, *options, f"--file={path}"], self._environment())
        return State(self.engine, self.revision_of(versions), path.stat().st_size, counts)

    def load(self, path: Path) -> None:
        psql = [installed(["psql"], _PACKAGE), "--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1"]
        with self.connection() as connection:
            schema = str(connection.exec_driver_sql("SELECT current_schema()").scalar_one())
            drops = [str(row[0]) for row in connection.exec_driver_sql(_OWN + _DROPS) if row[0]]
            version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
        head = "".join(f"{line};\n" for line in ["BEGIN", "SET LOCAL lock_timeout = '60s'", *drops])
        with writer(psql, self._environment()) as loader:
            loader.write(head.encode())
            with reader(self._script(path, schema), os.environ) as script:
                loader.writelines(without_unknown_settings(script, version))
            # Only now: without it the server forgets all of this, whatever ends before.
            loader.write(b"COMMIT;\n")

    def read_dump(self, path: Path) -> tuple[dict[str, int], dict[str, str]]:
        with reader(self._script(path), os.environ) as script:
            return rows_in(script)

    @staticmethod
    def _script(path: Path, schema: str = "") -> list[str]:
        """Return the command that turns a dump to SQL: of what is in the schema, for that itself is there."""
        only = [f"--schema={schema}"] if schema else []
        return [installed(["pg_restore"], _PACKAGE), "--no-owner", "--no-privileges", *only, "--file=-", str(path)]
