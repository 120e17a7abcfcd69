"""Accounts on a database server: PostgreSQL keeps them, and MLflow can't make its tables where the role refuses it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.accounts.conftest import FIRST, Site, ask
from tests.integration.conftest import NewDatabase
from tests.integration.releases import EACH, NEWEST, release

ADMIN = ("admin", FIRST)
ALICE = ("alice", "alice's %: of the lab")


def test_postgresql_keeps_them(new_database: NewDatabase, tmp_path: Path) -> None:
    """With a password of the database's that has to be quoted in the address, and that again in MLflow's file."""
    database, site = new_database("postgresql"), Site(release(NEWEST), tmp_path)
    with site.serving(site.configure(FIRST, database.uri)) as url:
        made = ask(url, ADMIN, "api/2.0/mlflow/users/create", {"username": ALICE[0], "password": ALICE[1]})
        assert made[0] == 200
    again = ("admin", "another password")
    # What the unit runs before each start.
    with site.serving(site.configure(again[1], database.uri)) as url:
        assert [ask(url, who)[0] for who in (ALICE, again, ADMIN, None)] == [200, 200, 401, 401]
    assert database.query("SELECT username FROM users ORDER BY id").split() == ["admin", "alice"]
    assert not site.accounts.exists()


@pytest.mark.parametrize("version", EACH)
def test_mariadb_does_not_take_their_tables(new_database: NewDatabase, version: str) -> None:
    """Should this fail one day, the refusal has to go for that release."""
    command = Site.migration(release(version), new_database("mysql").uri)
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert made.returncode != 0
    assert "errno: 121" in made.stderr
