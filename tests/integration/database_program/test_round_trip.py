"""What a release has written is there again after a newer release has migrated the database and worked on it."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.integration.database_program.conftest import MakeSite
from tests.integration.database_program.site import Site
from tests.integration.databases import ENGINES
from tests.integration.releases import NEWEST, RELEASES, release

# 3.1.4's on servers is restored by the upgrades that fail.
SITES = [
    pytest.param(engine, version, marks=[] if version == NEWEST else [pytest.mark.long])
    for engine in ENGINES
    for version in RELEASES
    if engine == "sqlite" or version != "3.1.4"
]


@pytest.mark.parametrize(("engine", "version"), SITES)
def test_dump_is_verified_and_takes_a_migration_back(engine: str, version: str, new_site: MakeSite) -> None:
    site = new_site(engine, version)
    written = site.mlflow("write")
    place = site.directory / "dump"

    told = site.run("status")["stores"]
    dumped = site.run("dump", place)
    verified = site.run("verify", place)

    assert told["tracking"]["counts"]["runs"] == 12 == dumped["stores"]["tracking"]["counts"]["runs"]
    assert dumped["mlflow"] == version
    for answer in (dumped, verified):
        assert answer["stores"]["tracking"]["counts"] == told["tracking"]["counts"]
        assert answer["stores"]["tracking"]["revision"] == told["tracking"]["revision"]
    assert "scratch" in verified["stores"]["tracking"]["scratch"]

    site.upgrade()
    site.mlflow("read", NEWEST)
    # By the newest release's program, as the one that is installed may be newer than the dump.
    restored = site.run("restore", place, version=NEWEST)

    assert restored["stores"]["tracking"]["counts"] == told["tracking"]["counts"]
    # Nor is a table left of the newer schema.
    assert site.run("status")["stores"]["tracking"]["counts"] == told["tracking"]["counts"]
    assert site.mlflow("read") == written


def test_only_its_owner_can_read_a_dump(dumped: Path) -> None:
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in dumped.iterdir()}

    assert stat.S_IMODE(dumped.stat().st_mode) == 0o700
    assert set(modes.values()) == {"0o600"}
    assert len(modes) == 2
    assert not dumped.with_name("dump.partial").exists()


def test_manifest_names_no_address(dumped: Path, site: Site) -> None:
    text = (dumped / "manifest.json").read_text()

    assert "://" not in text
    assert json.loads(text)["stores"]["tracking"]["engine"] == site.database.engine


def test_users_and_permissions_are_dumped_with_the_runs(new_site: MakeSite) -> None:
    site = new_site("sqlite")
    users = f"sqlite:///{site.directory}/backend/users 100%.db"
    make = (
        "import sys; from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore; store = SqlAlchemyStore();"
        "store.init_db(sys.argv[1]); store.create_user(sys.argv[2], 'a long password') if sys.argv[2] else None;"
        "print([user.username for user in store.list_users()])"
    )

    def auth(user: str = "") -> str:
        command = [str(release(NEWEST).python), "-c", make, users, user]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=site.directory).stdout

    auth("alice")
    site.mlflow("write")
    (site.directory / "auth.ini").write_text("[mlflow]\ndatabase_uri = " + users.replace("%", "%%") + "\n")
    site.more = {"MLFLOW_AUTH_CONFIG_PATH": str(site.directory / "auth.ini")}

    dumped = site.run("dump", site.directory / "dump")["stores"]
    auth("mallory")
    site.run("verify", site.directory / "dump")
    restored = site.run("restore", site.directory / "dump")["stores"]

    assert dumped["auth"]["counts"]["users"] == restored["auth"]["counts"]["users"] == 1
    assert dumped["auth"]["revision"] == restored["auth"]["revision"] != dumped["tracking"]["revision"]
    assert auth().strip() == "['alice']"


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_an_account_that_may_not_create_databases_has_every_row_read(engine: str, new_site: MakeSite) -> None:
    site = new_site(engine)
    site.mlflow("write")
    site.database.query(
        f"ALTER ROLE {site.database.name} NOCREATEDB"
        if engine == "postgresql"
        else f"REVOKE ALL ON {site.database.name}_verify_scratch.* FROM {site.database.name}"
    )
    dumped = site.run("dump", site.directory / "dump")["stores"]["tracking"]

    verified = site.run("verify", site.directory / "dump")["stores"]["tracking"]

    assert verified["scratch"].startswith("no database, for the account may not create one")
    assert verified["counts"] == dumped["counts"]
    assert verified["revision"] == dumped["revision"]
    assert site.run("restore", site.directory / "dump")["stores"]["tracking"]["counts"] == dumped["counts"]
