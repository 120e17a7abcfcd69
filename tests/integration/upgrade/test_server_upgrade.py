"""Upgrades of real servers with real data: done, taken back, and cut off at every step."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, upgrade_journal, upgrade_rules
from tests.integration.conftest import NewDatabase
from tests.integration.databases import QUICK_ENGINES, Database, log_writer
from tests.integration.releases import BEGINNINGS, NEWEST, release
from tests.integration.upgrade.conftest import RUNS, Disk, MakeSite
from tests.integration.upgrade.site import Site

TRACKING = "mlflow/store/db_migrations/versions"
ACCOUNTS = "mlflow/server/auth/db/migrations/versions"
#: What seed.py logs, as clients find it.
COUNTS = {"experiments": 6, "runs": RUNS, "metrics": RUNS, "models": 5}


root = pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root can mount a file system")


def revision(site: Site) -> str:
    """The revision of a SQLite site's schema."""
    # An open file would not be replaced.
    with closing(sqlite3.connect(site.database.name)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def break_release(site: Site, place: Path) -> Path:
    """Give the site a copy of the newest release that a test may spoil, and return its directory."""
    link, built, copy = site.root / "venvs" / release(NEWEST).name, release(NEWEST).directory, place / "spoilt"
    link.unlink()
    # Hard links: the files that are spoilt are replaced, not written to.
    shutil.copytree(built, copy, symlinks=True, copy_function=os.link)
    link.symlink_to(copy)
    for program in ("mlflow", "python"):
        (copy / "bin" / program).unlink()
    (copy / "bin/mlflow").write_text(f'#!/bin/sh\nexec {copy}/bin/python -c "from mlflow.cli import cli; cli()" "$@"\n')
    (copy / "bin/mlflow").chmod(0o755)
    (copy / "bin/python").symlink_to((built / "bin/python").readlink())
    return copy


def mend_release(site: Site) -> None:
    """Give the site the newest release as it is."""
    link = site.root / "venvs" / release(NEWEST).name
    link.unlink()
    link.symlink_to(release(NEWEST).directory)


def spoil_migration(site: Site, place: Path, statement: str, below: str = TRACKING) -> None:
    """Have the last of a database's migrations fail, after all others are done."""
    (versions,) = break_release(site, place).glob(f"lib/python3*/site-packages/{below}")
    texts = {path: path.read_text() for path in versions.glob("*.py")}
    head = upgrade_rules.schema(texts.values()).head
    (script,) = (path for path, text in texts.items() if f'revision = "{head}"' in text.partition("down_revision")[0])
    signature = next(line for line in texts[script].splitlines() if line.startswith("def upgrade("))
    script.unlink()
    script.write_text(texts[script].replace(signature, f"{signature}\n    {statement}"))


def is_as_before(site: Site, version: str = "3.1.4", counts: dict[str, int] | None = None) -> None:
    """The old release answers with what it held."""
    assert (site.version(), site.current, site.held) == (version, release(version).name, False)
    assert site.counts() == (counts or COUNTS)


@pytest.mark.parametrize("engine", QUICK_ENGINES)
@pytest.mark.parametrize("version", BEGINNINGS)
def test_a_new_release_serves_what_the_old_one_held(make_site: MakeSite, version: str, engine: str) -> None:
    site = make_site(version, engine, started=True)

    predicted = site.upgrade(_ansible_check_mode=True, _ansible_diff=True)
    assert (predicted["changed"], predicted["upgraded"], predicted["migrated"]) == (True, True, True)
    is_as_before(site, version)

    done = site.upgrade()
    assert (done["changed"], done["migrated"], done["previous"]) == (True, True, release(version).name)
    assert predicted["diff"] == done["diff"]
    is_as_before(site, NEWEST)
    assert stat.S_IMODE(os.stat(done["log"]).st_mode) == 0o600
    assert "migrated the tracking database" in Path(done["log"]).read_text()
    assert Path(done["backup"], "manifest.json").is_file()

    again = site.upgrade()
    assert (again["changed"], again["upgraded"]) == (False, False)
    back = site.upgrade(version)
    assert f"which MLflow {version} does not know, and {NEWEST} is in use" in back["msg"]
    assert f"leave mlflow_server_version at {NEWEST}" in back["msg"]
    is_as_before(site, NEWEST)


@pytest.mark.parametrize(("version", "engine"), [("2.22.5", "sqlite"), ("3.1.4", "sqlite"), ("3.1.4", "postgresql")])
def test_the_accounts_go_with_the_rest(
    make_site: MakeSite, new_database: NewDatabase, tmp_path: Path, version: str, engine: str
) -> None:
    """In a database of their own, of which older releases did not note the revision where newer ones look for it."""
    site = make_site(version, engine)
    accounts = Database(f"sqlite:///{tmp_path}/accounts.db") if engine == "sqlite" else new_database(engine)
    site.add_accounts(version, accounts)
    spoil_migration(site, tmp_path, 'raise RuntimeError("no such luck")', ACCOUNTS)

    failed = site.upgrade()

    assert "RuntimeError: no such luck" in failed["msg"]
    assert "migrated the tracking database" in Path(failed["log"]).read_text()
    is_as_before(site, version)
    assert site.users(version, accounts) == ["alice"]

    site.users(version, accounts, "bob")
    mend_release(site)
    done = site.upgrade()

    assert done["migrated"], done
    assert sorted(path.stem for path in Path(done["backup"]).iterdir()) == ["auth", "manifest", "tracking"]
    is_as_before(site, NEWEST)
    assert site.users(NEWEST, accounts) == ["alice", "bob"]
    assert site.upgrade(look=True)["changed"] is False


@pytest.mark.parametrize("engine", QUICK_ENGINES)
def test_a_migration_that_fails_is_taken_back(make_site: MakeSite, tmp_path: Path, engine: str) -> None:
    site = make_site("3.1.4", engine)
    spoil_migration(site, tmp_path, 'op.execute("DELETE FROM metrics"); raise RuntimeError("no such luck")')

    failed = site.upgrade()

    assert failed["failed"]
    assert f"from MLflow 3.1.4 to {NEWEST} failed at the step 'migrate' and was taken back" in failed["msg"]
    assert "RuntimeError: no such luck" in failed["msg"]
    assert failed["log"] in failed["msg"]
    assert failed["backup"] in failed["msg"]
    assert "RuntimeError: no such luck" in Path(failed["log"]).read_text()
    is_as_before(site)


def test_a_release_that_does_not_start_is_taken_back(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site("3.1.4")
    schema = revision(site)
    program = break_release(site, tmp_path) / "bin/mlflow"
    program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")

    failed = site.upgrade()

    assert "failed at the step 'start' and was taken back: 3.1.4 answers again" in failed["msg"]
    # What clients may have written to the new release is not thrown away.
    assert f"what the new release had written: {failed['backup']}-kept" in failed["msg"]
    is_as_before(site)
    assert revision(site) == schema

    assert site.upgrade("3.1.4")["changed"] is False


def test_a_release_that_lacks_runs_is_taken_back(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site("3.1.4")
    spoil_migration(site, tmp_path, "op.execute(\"UPDATE runs SET run_uuid = run_uuid || 'x'\")")

    failed = site.upgrade()

    assert "failed at the step 'verify'" in failed["msg"]
    assert "status 404" in failed["msg"]
    is_as_before(site)


def test_what_stands_in_sqlite_s_log_only_is_neither_lost_on_the_way_nor_back(
    make_site: MakeSite, tmp_path: Path
) -> None:
    """A server that was killed leaves its last changes in the file with -wal at its end."""
    site = make_site("3.1.4")
    with log_writer(site.database.name, "INSERT INTO experiment_tags VALUES ('in the log', 'x', 0)"):
        pass
    spoil_migration(site, tmp_path, 'op.execute("DELETE FROM experiment_tags"); raise RuntimeError("no such luck")')

    def found() -> tuple[tuple[int], tuple[str]]:
        with closing(sqlite3.connect(site.database.name)) as database:
            rows = database.execute("SELECT count(*) FROM experiment_tags WHERE key = 'in the log'").fetchone()
            return rows, database.execute("PRAGMA journal_mode").fetchone()

    assert Path(f"{site.database.name}-wal").stat().st_size > 0
    assert "was taken back" in site.upgrade()["msg"]
    assert found() == ((1,), ("wal",))
    mend_release(site)
    assert site.upgrade()["migrated"]
    assert found() == ((1,), ("wal",))


@root
def test_a_power_cut_on_the_way_forward_loses_nothing(site_on_disk: Site, disk: Disk) -> None:
    """What a step has done is on the disk when the next one stands in the journal."""
    site = site_on_disk
    for step in upgrade_journal.FORWARD:
        site.upgrade(kill_at=step)
        disk.cut_power(site)
        assert site.journal()["step"] == step
        # The host comes up: where the database may fit neither release, the service does not start.
        assert (site.systemctl("start", "mlflow.service") == 0) == (step in ("stop", "verify"))

    done = site.upgrade()

    assert f"interrupted at the step '{step}' is done" in done["recovered"]
    is_as_before(site, NEWEST)
    assert site.upgrade(look=True)["changed"] is False


@root
def test_a_power_cut_on_the_way_back_loses_nothing(site_on_disk: Site, disk: Disk, tmp_path: Path) -> None:
    site = site_on_disk
    (break_release(site, tmp_path) / "bin/mlflow").write_text("#!/bin/sh\nexit 3\n")
    os.sync()
    wanted = NEWEST
    for step in upgrade_journal.BACK:
        site.upgrade(wanted, kill_at=step)
        disk.cut_power(site)
        assert site.journal()["step"] == step
        assert (site.systemctl("start", "mlflow.service") == 0) == (step == "back_verify")
        # The reason is still there; the user gives up.
        wanted = "3.1.4"

    done = site.upgrade(wanted)

    assert "was taken back" in done.get("recovered", ""), done
    is_as_before(site)


def test_a_migration_that_outlives_its_run_is_waited_for(make_site: MakeSite, tmp_path: Path) -> None:
    site = make_site("3.1.4")
    spoil_migration(site, tmp_path, "import time; time.sleep(8)")
    with site.begun() as upgrade:
        site.wait_for("migrate")
        time.sleep(3)
        upgrade.kill()
        upgrade.wait()
    assert site.journal()["step"] == "migrate"

    # Were the dump restored under it, the database would be of neither release.
    done = site.upgrade()

    assert "was taken back" in done.get("recovered", ""), done
    is_as_before(site, NEWEST)


@root
@pytest.mark.parametrize("small_disk", [100], indirect=True)
def test_what_is_refused_leaves_the_server_as_it_is(make_site: MakeSite, small_disk: Path) -> None:
    site = make_site("3.1.4", started=True)
    (small_disk / "filling").write_bytes(bytes(99 * 2**20))

    full = site.upgrade(backups=str(small_disk / "upgrades"))
    known = revision(site)
    with closing(sqlite3.connect(site.database.name)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fedcba987654'")
        connection.commit()
        newer = site.upgrade()
        connection.execute("UPDATE alembic_version SET version_num = ?", [known])
        connection.commit()

    assert "are needed" in full["msg"]
    assert "mlflow_server_backup_directory" in full["msg"]
    assert f"schema is at revision fedcba987654, which MLflow {NEWEST} does not know" in newer["msg"]
    is_as_before(site)
    assert not (site.root / "upgrade.json").exists()


def test_a_dump_program_that_is_too_old_is_told_before_the_server_stops(make_site: MakeSite) -> None:
    """In the place of an older pg_dump, of which there is none for this system: one that says it is."""
    site = make_site("3.1.4", "postgresql", started=True)
    program = site.root / "bin/pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 11.22'\n")
    program.chmod(0o755)

    for refused in (site.upgrade(_ansible_check_mode=True), site.upgrade(), site.upgrade(hold=True)):
        assert f"{program} is of PostgreSQL 11" in refused["msg"]
        assert "install postgresql-client-" in refused["msg"]
    assert not (site.root / "upgrade.json").exists()
    is_as_before(site)


def test_a_damaged_database_is_told(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    Path(site.database.name).write_text("not a database, but long enough to be read as one " * 50)
    refused = site.upgrade()
    assert "is damaged" in refused["msg"]
    assert not (site.root / "upgrade.json").exists()


@root
@pytest.mark.parametrize("small_disk", [100], indirect=True)
def test_a_disk_that_fills_up_meanwhile_loses_nothing(small_disk: Path, make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    # Between the look and the dump something else takes the space.
    # Bounded, and only on the small disk: were that not mounted, this machine's would be filled.
    other = f"{small_disk}/other"
    site.on_stop(f"mountpoint -q {small_disk} && dd if=/dev/zero of={other} bs=1M count=200 status=none")

    failed = site.upgrade(backups=str(small_disk / "upgrades"))

    assert "failed at the step 'dump' and was taken back" in failed["msg"]
    is_as_before(site)


def test_the_same_release_migrates_a_database_that_is_behind(make_site: MakeSite) -> None:
    """Settings that name an older database: the server would migrate it without a dump as it starts."""
    site = make_site("3.1.4")
    releases.activate(releases.Layout(str(site.root)), release(NEWEST).name)

    # Not yet: those in place may be why it does not run.
    before = site.upgrade()
    assert (before["changed"], before["postponed"], site.backups.exists()) == (False, True, False)

    done = site.upgrade(look=True)

    assert (done["migrated"], done["previous"], site.version()) == (True, release(NEWEST).name, NEWEST)
    assert Path(done["backup"], "manifest.json").is_file()
    assert site.upgrade(look=True)["changed"] is False


def test_a_first_install_only_switches(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    (site.root / "current").unlink()
    (site.root / "server.env").unlink()
    predicted = site.upgrade(_ansible_check_mode=True)
    done = site.upgrade()
    assert (predicted["changed"], done["changed"], done["upgraded"]) == (True, True, False)
    assert (site.current, site.backups.exists()) == (release(NEWEST).name, False)


def test_servers_with_one_database_go_back_and_forward_together(make_site: MakeSite, tmp_path: Path) -> None:
    first = make_site("3.1.4", "postgresql", started=True)
    second = make_site("3.1.4", database=first.database, started=True)
    spoil_migration(first, tmp_path, 'raise RuntimeError("no such luck")')

    def hold() -> None:
        for site in (first, second):
            assert site.upgrade(hold=True)["changed"]
            assert (site.held, site.systemctl("is-active", "mlflow.service")) == (True, 3)

    hold()
    assert "was taken back" in first.upgrade()["msg"]
    # As the role does it: once more when the settings are in place.
    assert second.upgrade("3.1.4")["postponed"]
    assert second.upgrade("3.1.4", look=True)["changed"]
    second.start()
    for site in (first, second):
        is_as_before(site)

    mend_release(first)
    hold()
    assert first.upgrade()["migrated"]
    followed = second.upgrade()

    assert (followed["upgraded"], followed["migrated"]) == (True, False)
    for site in (first, second):
        is_as_before(site, NEWEST)
        assert site.upgrade(hold=True)["changed"] is False
