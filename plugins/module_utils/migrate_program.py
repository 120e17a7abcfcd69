# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring MLflow's databases to the schema of the release whose Python runs this.

Runs by itself, as the server's user and with its environment: ``python -I - COMMAND < this file``.
`mlflow db upgrade` wants the database's address, and so its password, among its arguments, and knows nothing of the
accounts' database.  This calls the same functions of MLflow, with the addresses from the server's environment:
MLFLOW_BACKEND_STORE_URI, MLFLOW_REGISTRY_STORE_URI, and the database_uri in the file MLFLOW_AUTH_CONFIG_PATH names.

`sample` prints a run and its experiment as JSON, for asking a server for them later.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import sys
import time
from importlib import import_module
from typing import Any


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def addresses() -> dict[str, str]:
    """Return the databases by store, each once."""
    tracking = os.environ["MLFLOW_BACKEND_STORE_URI"]
    found = {"tracking": tracking}
    registry = os.environ.get("MLFLOW_REGISTRY_STORE_URI", "")
    if registry and registry != tracking:
        found["registry"] = registry
    config = configparser.ConfigParser()
    config.read(os.environ.get("MLFLOW_AUTH_CONFIG_PATH") or [])
    auth = config.get("mlflow", "database_uri", fallback="")
    if auth:
        found["auth"] = auth
    return found


def sample() -> dict[str, str]:
    """Return the newest run that isn't deleted and its experiment; without runs, any experiment."""
    sa: Any = import_module("sqlalchemy")
    runs = sa.table("runs", *map(sa.column, ("run_uuid", "experiment_id", "start_time", "lifecycle_stage")))
    experiments = sa.table("experiments", *map(sa.column, ("experiment_id", "lifecycle_stage")))
    newest = (
        sa.select(runs.c.experiment_id, runs.c.run_uuid)
        .where(runs.c.lifecycle_stage == "active")
        .order_by(runs.c.start_time.desc())
        .limit(1)
    )
    first = sa.select(experiments.c.experiment_id).where(experiments.c.lifecycle_stage == "active").limit(1)
    engine = sa.create_engine(addresses()["tracking"])
    with engine.connect() as connection:
        row = connection.execute(newest).first() or connection.execute(first).first() or ()
    engine.dispose()
    return dict(zip(("experiment", "run"), map(str, row)))


def is_empty(url: str) -> bool:
    """Return whether a database has no tables yet: the server makes them as it starts."""
    sa: Any = import_module("sqlalchemy")
    engine = sa.create_engine(url)
    try:
        return not list(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def migrate(store: str, url: str) -> None:
    """Bring one database to the newest revision that this release knows."""
    if is_empty(url):
        return
    if store == "auth":
        engine = import_module("sqlalchemy").create_engine(url)
        import_module("mlflow.server.auth.db.utils").migrate(engine, "head")
    else:
        utils: Any = import_module("mlflow.store.db.utils")
        engine = utils.create_sqlalchemy_engine_with_retry(url)
        utils._upgrade_db(engine)
    engine.dispose()
    if engine.dialect.name == "sqlite":
        forget_journal(engine.url.database)


def forget_journal(file: str) -> None:
    """Have it on the disk that SQLite's rollback journal is gone, which would take the last change back."""
    descriptor = os.open(os.path.dirname(file), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """Migrate all databases, and say to the log what is done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["sample", "migrate"])
    parser.add_argument("--log", type=int, default=1, metavar="FD", help="open file that all output goes to")
    arguments = parser.parse_args()
    if arguments.command == "sample":
        say(json.dumps(sample()))
        return
    for stream in (1, 2):
        os.dup2(arguments.log, stream)
    for store, url in addresses().items():
        started = time.monotonic()
        say(f"migrating the {store} database")
        migrate(store, url)
        say(f"migrated the {store} database in {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
