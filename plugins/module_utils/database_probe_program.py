# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connect to databases once, as MLflow does, and tell what they say of themselves.

Runs by itself under a Python that has SQLAlchemy and the drivers: ``python -I -c THIS``, with a JSON list of
addresses on standard input, for arguments can be seen by everybody.  Prints a JSON list in the same order: what
a database says, or ``error`` with the exception's name and text, without the password.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

CONNECT_SECONDS = 10
#: Drivers that know an argument connect_timeout.
TIMED = ("psycopg", "psycopg2", "pymysql", "mysqldb")

POSTGRESQL = """
SELECT current_setting('server_version') AS version,
       current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS user_limit,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create
"""
# max_user_connections of a session is that of its account (MySQL's "Server System Variables"); 0 is no limit.
MYSQL = """
SELECT @@version AS version, @@max_connections AS max_connections, 0 AS reserved,
       IF(@@session.max_user_connections = 0, -1, @@session.max_user_connections) AS user_limit,
       -1 AS database_limit
"""


def ask(connection: Any, dialect: str) -> dict[str, Any]:
    """Return what a database says of itself, as JSON can hold it; little for one that is neither of the two."""
    if dialect == "postgresql":
        return dict(connection.exec_driver_sql(POSTGRESQL).mappings().one())
    if dialect in ("mysql", "mariadb"):
        cipher = connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()[1]
        return {**connection.exec_driver_sql(MYSQL).mappings().one(), "tls": bool(cipher), "may_create": True}
    connection.exec_driver_sql("SELECT 1")
    return {}


def look(address: str) -> dict[str, Any]:
    """Return what is found at one address; what can go wrong with one is told, not raised."""
    # Not at the top: this file is imported where there is no SQLAlchemy, too.
    sqlalchemy = import_module("sqlalchemy")
    try:
        url = sqlalchemy.engine.make_url(address)
    except sqlalchemy.exc.ArgumentError as error:
        # Its text may hold the whole address.
        return {"where": "the database", "error": {"name": type(error).__name__, "text": "that is no address"}}
    host = url.host or url.query.get("host") or url.query.get("unix_socket") or "this host"
    where = f"database {url.database} of {url.get_backend_name()} at {host}, as {url.username}"
    try:
        timeout = {"connect_timeout": CONNECT_SECONDS} if url.get_driver_name() in TIMED else {}
        engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool, connect_args=timeout)
        with engine.connect() as connection:
            return {"where": where, "engine": engine.dialect.name, **ask(connection, engine.dialect.name)}
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        # SQLAlchemy's words are around those of the driver.
        cause = getattr(error, "orig", None) or error
        text = str(cause)
        if url.password:
            text = text.replace(str(url.password), "…")
        return {"where": where, "error": {"name": type(cause).__name__, "text": text}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps([look(address) for address in json.load(sys.stdin)]) + "\n")
