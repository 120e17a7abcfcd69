# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server is refused of its database's settings, before anything of it is asked.

Source: MLflow's mlflow/store/db/utils.py, create_sqlalchemy_engine (what it makes of the pool's settings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import database_parts, version_skew
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

PARTS = "mlflow_server_database"
WAL = "wal"
#: From here on numbers are compared with numbers (3.15.2 fails to register a scorer, 3.16.1 does not).
_FIRST_WITH_PSYCOPG_3 = (3, 16)
NONE, ASCII, UNICODE, NO_TEXT = KINDS = ("none", "ascii", "unicode", "no_text")


@dataclass(frozen=True)
class Settings:
    """How the server is to use its database.

    ``parts`` come without their password, of which ``secret`` tells the kind: NONE, ASCII, UNICODE or NO_TEXT;
    ``uri_given`` says that an address besides the one made of the parts is there, too.  ``pool_recycle`` is in
    seconds, -1 for never.
    """

    parts: Mapping[str, Any] = field(default_factory=dict)
    secret: str = NONE
    uri_given: bool = False
    pool_size: int = 5
    pool_overflow: int = 40
    pool_recycle: int = 3600
    servers: int = 1
    journal_mode: str = "delete"


def _parts(settings: Settings, user: str) -> Iterator[Problem]:
    if not settings.parts and settings.secret == NONE:
        return
    if settings.uri_given:
        yield Problem(
            f"mlflow_server_backend_store_uri and {PARTS} are both given, and differ",
            "the server has one database",
            f"leave one out; {PARTS} comes from mlflow_database, and {PARTS}: {{}} takes it back for a host",
        )
    if settings.secret == NO_TEXT:
        yield Problem(
            f"{PARTS}.password is not a text",
            "YAML reads digits without quotes as a number, and may change them",
            "put it between quotes",
        )
    try:
        parts = database_parts.parse(settings.parts)
    except ValueError as error:
        yield Problem(f"{PARTS}: {error}", "the address could not be made", "write the parts that the README lists")
        return
    yield from database_parts.problems(PARTS, parts)
    if parts.engine == "mysql" and settings.secret == UNICODE:
        yield Problem(
            f"{PARTS}.password has other characters than those of ASCII, and the engine is mysql",
            "PyMySQL sends a password as Latin-1, and the database has kept it as UTF-8",
            "use letters, digits and the signs of ASCII; a longer password is as good",
        )
    if not parts.host and settings.secret == NONE and parts.user != user:
        yield Problem(
            f"{PARTS} has neither host nor password, its user is {parts.user!r} and the service's account is {user!r}",
            "by the socket and without a password a database lets in only the user of the account's own name",
            f"write {PARTS}.user: {user}, or a password",
        )


def _pool(settings: Settings) -> Iterator[Problem]:
    if settings.pool_size < 1:
        yield Problem(
            f"mlflow_server_pool_size is {settings.pool_size}",
            "MLflow passes a 0 over, and a pool without an end can't be counted",
            "write 1 or more",
        )
    if settings.pool_overflow < 1:
        yield Problem(
            f"mlflow_server_pool_overflow is {settings.pool_overflow}",
            "MLflow passes a 0 over and takes 10, and an overflow without an end can't be counted",
            "write 1 or more",
        )
    if settings.pool_recycle < 1 and settings.pool_recycle != -1:
        yield Problem(
            f"mlflow_server_pool_recycle is {settings.pool_recycle}",
            "it is the age in seconds at which a connection is replaced",
            "write 1 or more, or -1 for never",
        )
    if settings.servers < 1:
        yield Problem(
            f"mlflow_server_database_servers is {settings.servers}", "this server is one of them", "write 1 or more"
        )


def _driver(uris: Mapping[str, str], version: str) -> Iterator[Problem]:
    if not version_skew.is_before(version, _FIRST_WITH_PSYCOPG_3):
        return
    for name, uri in uris.items():
        if uri.startswith("postgresql+psycopg:"):
            yield Problem(
                f"{name} is {uri!r}, and the release MLflow {version}",
                "releases before 3.16 compare numbers with texts, which PostgreSQL refuses by psycopg 3: `operator does "
                "not exist: integer = character varying`",
                "set mlflow_version to 3.17.2, or write postgresql+psycopg2://… with psycopg2-binary==2.9.10 in "
                "mlflow_server_extra_packages",
            )


def problems(settings: Settings, user: str, uris: Mapping[str, str], version: str) -> Iterator[Problem]:
    """Yield what is wrong.

    ``user`` is the service's account, ``uris`` are the addresses in force by input, ``version`` is MLflow's.
    """
    yield from _parts(settings, user)
    yield from _driver(uris, version)
    yield from _pool(settings)
    if settings.journal_mode == WAL and not any(uri.startswith("sqlite:") for uri in uris.values()):
        yield Problem(
            "mlflow_server_sqlite_journal_mode is wal, and no database is SQLite's",
            "other databases have a log of their own, and nothing would follow from it",
            "leave it out",
        )
