"""Upgrades of real servers with real data: done, taken back, and killed at every step."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, upgrade_rules
from tests.integration.upgrade.conftest import RUNS, MakeSite, SmallDisk
from tests.integration.upgrade.site import NEW, OLD, Site, release

FORWARD = ("stop", "dump", "migrate", "switch", "start", "verify")
BACK = ("back_stop", "back_keep", "back_restore", "back_switch", "back_start", "back_verify")


#: What seed.py logs, as clients find it.
COUNTS = {"experiments": 6, "runs": RUNS, "metrics": RUNS, "models": 5}


def revision(site: Site) -> str:
    """The revision of a SQLite site's schema."""
    # An open file would not be replaced.
    with closing(sqlite3.connect(site.uri.removeprefix("sqlite:///"))) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def break_release(site: Site) -> Path:
    """Give the site a copy of the new release that a test may spoil, and return its directory."""
    link = site.root / "venvs" / release(NEW, *site.extra)
    built = link.resolve()
    link.unlink()
    # Hard links: the files that are spoilt are replaced, not written to.
    shutil.copytree(built, link, symlinks=True, copy_function=os.link)
    for program in ("mlflow", "python"):
        (link / "bin" / program).unlink()
    (link / "bin/mlflow").write_text(f'#!/bin/sh\nexec {link}/bin/python -c "from mlflow.cli import cli; cli()" "$@"\n')
    (link / "bin/mlflow").chmod(0o755)
    (link / "bin/python").symlink_to((built / "bin/python").readlink())
    return link


def spoil_migration(site: Site, statement: str) -> None:
    """Have the last of the migrations fail, after all others are done."""
    directory = break_release(site)
    (versions,) = directory.glob("lib/python3*/site-packages/mlflow/store/db_migrations/versions")
    texts = {path: path.read_text() for path in versions.glob("*.py")}
    head = upgrade_rules.schema(texts.values()).head
    (script,) = (path for path, text in texts.items() if f'revision = "{head}"' in text.partition("down_revision")[0])
    spoilt = texts[script].replace("def upgrade():\n", f"def upgrade():\n    {statement}\n")
    assert spoilt != texts[script]
    script.unlink()
    script.write_text(spoilt)


def is_as_before(site: Site, version: str, counts: dict[str, int]) -> None:
    """The old release answers with what it held."""
    assert (site.version(), site.current, site.held) == (version, release(version, *site.extra), False)
    assert site.counts() == counts


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("version", OLD)
def test_a_new_release_serves_what_the_old_one_held(make_site: MakeSite, version: str, engine: str) -> None:
    site = make_site(version, engine)
    before = site.counts()
    assert before == COUNTS

    predicted = site.upgrade(_ansible_check_mode=True, _ansible_diff=True)
    assert (predicted["changed"], predicted["upgraded"], predicted["migrated"]) == (True, True, True)
    assert site.version() == version

    done = site.upgrade()
    assert (done["changed"], done["migrated"], done["previous"]) == (True, True, release(version, *site.extra))
    assert predicted["diff"] == done["diff"]
    assert (site.version(), site.current, site.held) == (NEW, release(NEW, *site.extra), False)
    assert site.counts() == before
    assert stat.S_IMODE(os.stat(done["log"]).st_mode) == 0o600
    assert "migrated the tracking database" in Path(done["log"]).read_text()
    assert Path(done["backup"], "manifest.json").is_file()

    again = site.upgrade()
    assert (again["changed"], again["upgraded"]) == (False, False)


@pytest.mark.parametrize("version", OLD)
def test_the_accounts_are_dumped_and_migrated_with_the_rest(make_site: MakeSite, version: str) -> None:
    """Older releases did not note their revision where newer ones look for it."""
    site = make_site(version, started=False)
    file = site.add_accounts(version)

    done = site.upgrade()

    assert done["migrated"], done
    assert (Path(done["backup"]) / "auth.sqlite").is_file()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT username, is_admin FROM users").fetchall() == [("alice", 1)]
        ((noted,),) = connection.execute("SELECT version_num FROM alembic_version_auth").fetchall()
    assert noted != upgrade_rules.FIRST_AUTH_REVISION
    assert site.upgrade(look=True)["changed"] is False


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_migration_that_fails_is_taken_back(make_site: MakeSite, engine: str) -> None:
    site = make_site("3.1.4", engine)
    before = site.counts()
    spoil_migration(site, 'op.execute("DELETE FROM metrics"); raise RuntimeError("no such luck")')

    failed = site.upgrade()

    assert failed["failed"]
    assert "from MLflow 3.1.4 to 3.17.2 failed at the step 'migrate' and was taken back" in failed["msg"]
    assert "RuntimeError: no such luck" in failed["msg"]
    assert failed["log"] in failed["msg"]
    assert failed["backup"] in failed["msg"]
    assert "RuntimeError: no such luck" in Path(failed["log"]).read_text()
    is_as_before(site, "3.1.4", before)


def test_a_release_that_does_not_start_is_taken_back(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    before, schema = site.counts(), revision(site)
    program = break_release(site) / "bin/mlflow"
    program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")

    failed = site.upgrade()

    assert "failed at the step 'start' and was taken back: 3.1.4 answers again" in failed["msg"]
    # What clients may have written to the new release is not thrown away.
    assert f"what the new release had written: {failed['backup']}-kept" in failed["msg"]
    is_as_before(site, "3.1.4", before)
    assert revision(site) == schema

    assert site.upgrade("3.1.4")["changed"] is False


def test_a_release_that_lacks_runs_is_taken_back(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    before = site.counts()
    spoil_migration(site, "op.execute(\"UPDATE runs SET run_uuid = 'x' || substr(run_uuid, 2)\")")

    failed = site.upgrade()

    assert "failed at the step 'verify'" in failed["msg"]
    assert "status 404" in failed["msg"]
    is_as_before(site, "3.1.4", before)


@pytest.mark.parametrize("step", FORWARD)
def test_a_kill_on_the_way_forward_loses_nothing(make_site: MakeSite, step: str) -> None:
    # The server itself is not what is killed here; it takes seconds to start.
    site = make_site("3.1.4", started=False)
    before = COUNTS
    site.upgrade(kill_at=step)
    assert site.journal()["step"] == step

    done = site.upgrade()

    assert done["changed"], done
    assert f"interrupted at the step '{step}'" in done["recovered"]
    assert (site.version(), site.current, site.held) == (NEW, release(NEW), False)
    assert site.counts() == before
    assert site.upgrade()["changed"] is False


@pytest.mark.parametrize("step", BACK)
def test_a_kill_on_the_way_back_loses_nothing(make_site: MakeSite, step: str) -> None:
    # The server itself is not what is killed here; it takes seconds to start.
    site = make_site("3.1.4", started=False)
    before = COUNTS
    program = break_release(site) / "bin/mlflow"
    program.write_text("#!/bin/sh\nexit 3\n")
    site.upgrade(kill_at=step)
    assert site.journal()["step"] == step

    # The reason is still there; the user gives up.
    done = site.upgrade("3.1.4")

    assert "was taken back" in done["recovered"]
    is_as_before(site, "3.1.4", before)


def test_a_migration_that_outlives_its_run_is_waited_for(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    before = site.counts()
    spoil_migration(site, "import time; time.sleep(8)")
    with site.begun() as upgrade:
        site.wait_for("migrate")
        time.sleep(3)
        upgrade.kill()
        upgrade.wait()
    assert site.journal()["step"] == "migrate"

    # Were the dump restored under it, the database would be of neither release.
    done = site.upgrade()

    assert "was taken back" in done["recovered"]
    assert (site.version(), site.held) == (NEW, False)
    assert site.counts() == before


def test_while_an_upgrade_is_unfinished_the_service_does_not_start(make_site: MakeSite) -> None:
    """A power cut: the host comes up with a database that fits neither release."""
    site = make_site("3.1.4")
    site.upgrade(kill_at="switch")
    assert site.held
    assert site.systemctl("start", "mlflow.service") != 0


def test_an_older_release_is_refused_before_anything_is_changed(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    site.upgrade()
    before = site.counts()
    log = (site.root / "server.log").read_text()

    for refused in (site.upgrade("3.1.4", _ansible_check_mode=True), site.upgrade("3.1.4")):
        assert "which MLflow 3.1.4 does not know, and 3.17.2 is in use" in refused["msg"]
        assert "leave mlflow_server_version at 3.17.2" in refused["msg"]
    is_as_before(site, NEW, before)
    assert len((site.root / "server.log").read_text()) - len(log) < 4000


def test_a_schema_newer_than_the_code_is_refused(make_site: MakeSite) -> None:
    site = make_site("3.1.4")
    with closing(sqlite3.connect(site.uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fedcba987654'")
        connection.commit()
    refused = site.upgrade()
    assert "schema is at revision fedcba987654, which MLflow 3.17.2 does not know" in refused["msg"]
    assert site.version() == "3.1.4"


def test_a_database_that_is_away_is_told(make_site: MakeSite) -> None:
    site = make_site("3.1.4", started=False)
    Path(site.uri.removeprefix("sqlite:///")).write_text("not a database, but long enough to be read as one " * 50)
    refused = site.upgrade()
    assert "is damaged" in refused["msg"]
    assert not (site.root / "upgrade.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="SKIPPED: only root can mount a small file system")
@pytest.mark.parametrize("full_at", ["before", "dump"])
def test_a_full_disk_loses_nothing(small_disk: SmallDisk, make_site: MakeSite, full_at: str) -> None:
    site = make_site("3.1.4")
    before = site.counts()
    if full_at == "before":
        small_disk.fill(leave=1)
    else:
        # Between the look and the dump something else takes the space.
        # Bounded, and only on the small disk: were that not mounted, this machine's would be filled.
        other = f"{small_disk.path}/other"
        site.on_stop(f"mountpoint -q {small_disk.path} && dd if=/dev/zero of={other} bs=1M count=200 status=none")

    failed = site.upgrade(backups=str(small_disk.path / "upgrades"))

    if full_at == "before":
        assert "are needed" in failed["msg"]
        assert "mlflow_server_backup_directory" in failed["msg"]
    else:
        assert "failed at the step 'dump' and was taken back" in failed["msg"]
    is_as_before(site, "3.1.4", before)


def test_the_same_release_migrates_a_database_that_is_behind(make_site: MakeSite) -> None:
    """Settings that name an older database: the server would migrate it without a dump as it starts."""
    site = make_site("3.1.4", started=False)
    releases.activate(releases.Layout(str(site.root)), release(NEW))

    done = site.upgrade(look=True)

    assert (done["migrated"], done["previous"], site.version()) == (True, release(NEW), NEW)
    assert Path(done["backup"], "manifest.json").is_file()
    assert site.upgrade(look=True)["changed"] is False


def test_a_first_install_only_switches(make_site: MakeSite) -> None:
    site = make_site("3.1.4", started=False)
    (site.root / "current").unlink()
    (site.root / "server.env").unlink()
    predicted = site.upgrade(_ansible_check_mode=True)
    done = site.upgrade()
    assert (predicted["changed"], done["changed"], done["upgraded"]) == (True, True, False)
    assert (site.current, site.backups.exists()) == (release(NEW), False)


def test_servers_with_one_database_stop_together_and_one_migrates(make_site: MakeSite) -> None:
    first = make_site("3.1.4", "postgresql")
    second = make_site("3.1.4", "postgresql", beside=first)
    for site in (first, second):
        assert site.upgrade(hold=True)["changed"]
        assert (site.held, site.systemctl("is-active", "mlflow.service")) == (True, 3)

    assert first.upgrade()["migrated"]
    followed = second.upgrade()

    assert (followed["upgraded"], followed["migrated"]) == (True, False)
    for site in (first, second):
        assert (site.version(), site.current, site.held) == (NEW, release(NEW, *site.extra), False)
        assert site.counts() == COUNTS
        assert site.upgrade(hold=True)["changed"] is False


def test_when_the_first_of_several_goes_back_the_others_start_again(make_site: MakeSite) -> None:
    first = make_site("3.1.4", "postgresql")
    second = make_site("3.1.4", "postgresql", beside=first)
    spoil_migration(first, 'raise RuntimeError("no such luck")')
    for site in (first, second):
        site.upgrade(hold=True)

    assert "was taken back" in first.upgrade()["msg"]
    assert second.upgrade("3.1.4")["changed"]
    assert second.systemctl("start", "mlflow.service") == 0

    for site in (first, second):
        is_as_before(site, "3.1.4", COUNTS)
