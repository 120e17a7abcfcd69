# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The databases that a server's environment file names.

Source: systemd.exec(5), EnvironmentFile=; MLflow's mlflow/server/auth/config.py; SQLAlchemy's "Database URLs".
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy

from mlflow_database.database import Database, RefusalError
from mlflow_database.mysql import Mysql
from mlflow_database.postgresql import Postgresql
from mlflow_database.sqlite import Sqlite

_ASSIGNMENT = re.compile(r'\s*(?P<name>[A-Za-z_]\w*)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>.*?))\s*')
_ESCAPED = re.compile(r'\\(["\\`$])')


def parse_environment(text: str) -> dict[str, str]:
    """Return the values by name in the text that the role mlflow_server writes."""
    found = filter(None, map(_ASSIGNMENT.fullmatch, text.splitlines()))
    return {
        match["name"]: match["plain"] if match["quoted"] is None else _ESCAPED.sub(r"\1", match["quoted"])
        for match in found
    }


def _auth_uri(path: str) -> str:
    # As MLflow reads it, which wants a % doubled.
    config = configparser.ConfigParser()
    try:
        with open(path, encoding="utf-8") as stream:
            config.read_file(stream)
        return config["mlflow"]["database_uri"]
    except (OSError, KeyError, configparser.Error) as error:
        # The file holds a password, and the error may show a line of it.
        problem = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise RefusalError(
            f"{path}, which MLFLOW_AUTH_CONFIG_PATH names, can't be read: {problem}",
            "it says where the users and their permissions are, which belong to the backup",
            "let it have database_uri in its section [mlflow], and be readable for this account",
        ) from error


def _database(store: str, uri: str) -> Database:
    try:
        url = sqlalchemy.make_url(uri)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise RefusalError(
            f"the address of the {store} database is not one that SQLAlchemy understands",
            "there is nothing to connect to",
            "write it like postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, the password URL-encoded",
        ) from error
    backend = url.get_backend_name()
    if backend == "sqlite":
        return Sqlite(store, url)
    if backend == "postgresql":
        return Postgresql(store, url)
    if backend in ("mysql", "mariadb"):
        return Mysql(store, url)
    raise RefusalError(
        f"the {store} database is of the kind {backend!r}",
        "only SQLite, PostgreSQL, MariaDB and MySQL are dumped and restored here",
        "back it up with its own tools",
    )


def read_databases(environment: Mapping[str, str]) -> dict[str, Database]:
    """Return the databases by store: tracking, and registry and auth where they have one of their own."""
    uris = {"tracking": environment.get("MLFLOW_BACKEND_STORE_URI", "")}
    if not uris["tracking"]:
        raise RefusalError(
            "the environment has no MLFLOW_BACKEND_STORE_URI",
            "it says where the runs are",
            "name the file that the role mlflow_server wrote, such as /etc/mlflow/server.env",
        )
    uris["registry"] = environment.get("MLFLOW_REGISTRY_STORE_URI", "")
    auth = environment.get("MLFLOW_AUTH_CONFIG_PATH", "")
    uris["auth"] = _auth_uri(auth) if auth else ""
    databases: dict[str, Database] = {}
    for store, uri in uris.items():
        if uri:
            database = _database(store, uri)
            if database.identity not in {other.identity for other in databases.values()}:
                databases[store] = database
    return databases


def read(path: Path) -> dict[str, Database]:
    """Return the databases that an environment file names.  Raises RefusalError."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise RefusalError(
            f"{path} can't be read: {error.strerror}",
            "it says where the databases are",
            "run this as root or as the server's account, on a host where the role mlflow_server has run",
        ) from error
    return read_databases(parse_environment(text))
