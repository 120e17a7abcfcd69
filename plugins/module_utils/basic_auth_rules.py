# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server is refused of its accounts' settings.

Source: MLflow's mlflow/server/auth, of which db/migrations/versions/8606fa83a998 fails in MySQL; RFC 7617, 2 (a user's
name has no colon).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, password_kind
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_uri import database_problems
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

URI = "mlflow_server_accounts_uri"
_NAME = re.compile(r"[^\s:%](?:[^:%\x00-\x1f\x7f]*[^\s:%])?")
#: Variables of the environment that the role sets with accounts on, and the input for each.
MANAGED = {
    "MLFLOW_AUTH_ADMIN_PASSWORD": "mlflow_server_admin_password",
    "MLFLOW_AUTH_ADMIN_USERNAME": "mlflow_server_admin_username",
    "MLFLOW_AUTH_CONFIG_PATH": "mlflow_server_basic_auth",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "mlflow_server_secret_key",
}


@dataclass(frozen=True)
class Accounts:
    """How accounts are to be kept; of secrets only the kind (password_kind), of the address no password.

    ``same_database`` says that the runs are in that database, too.
    """

    enabled: bool = False
    admin_username: str = "admin"
    admin_password: str = password_kind.NONE
    secret_key: str = password_kind.NONE
    database_uri: str = "sqlite:////var/lib/mlflow/backend/accounts.db"
    same_database: bool = False


def _shared(accounts: Accounts, servers: int) -> Iterator[Problem]:
    for name in ("admin_password", "secret_key"):
        if getattr(accounts, name) == password_kind.NONE:
            yield Problem(
                f"mlflow_server_{name} is empty, and {servers} servers share a database",
                "each server would make one of its own, and their users be let in by one and not by the other",
                "give all of them the same one, from ansible-vault",
            )
    if accounts.database_uri.startswith("sqlite:"):
        yield Problem(
            f"{URI} is a file of SQLite's, and {servers} servers share a database",
            "an account made on one would be unknown to the others",
            "give all of them the same database on a server, such as postgresql+psycopg://USER:PASSWORD@HOST/accounts",
        )


def problems(
    accounts: Accounts,
    servers: int,
    environment_names: Sequence[str],
    root: artifact_root.Root,
    mounts: Sequence[MountEntry],
    locked: bool,
) -> Iterator[Problem]:
    """Yield what is wrong; nothing while accounts are off."""
    if not accounts.enabled:
        return
    if not _NAME.fullmatch(accounts.admin_username):
        yield Problem(
            f"mlflow_server_admin_username is {accounts.admin_username!r}",
            "it can't be sent as a user's name, or not be written into MLflow's configuration",
            "use letters, digits and the like, without a colon or %",
        )
    for name in ("admin_password", "secret_key"):
        wrong = password_kind.problem(f"mlflow_server_{name}", getattr(accounts, name))
        if wrong:
            yield wrong
    for name in environment_names:
        if name in MANAGED:
            yield Problem(
                f"mlflow_server_environment has {name!r}, with mlflow_server_basic_auth",
                "the role sets it, and two places would contradict each other",
                f"use {MANAGED[name]}",
            )
    if accounts.same_database:
        yield Problem(
            f"{URI} is the database of the runs or of the model registry",
            "releases before 3.17 keep the revision of both schemas in one table, and would not start",
            "give the accounts a database of their own, on the same server if you like",
        )
    if accounts.database_uri.startswith(("mysql", "mariadb")):
        yield Problem(
            f"{URI} is a database of MySQL's or MariaDB's",
            "MLflow can't make its tables there: two of them have a constraint of the same name, which MySQL and MariaDB "
            "refuse in one database (errno 121)",
            "leave the accounts in the file of SQLite's, or use PostgreSQL, such as "
            "postgresql+psycopg://USER:PASSWORD@HOST/accounts",
        )
    yield from database_problems(URI, accounts.database_uri, root, mounts, locked)
    if servers > 1:
        yield from _shared(accounts, servers)
