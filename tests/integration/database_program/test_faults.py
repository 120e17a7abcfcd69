"""What goes wrong is told in plain words, and nothing is lost by it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

from lab.databases import ODD, free_port
from tests.integration.database_program.conftest import MakeSite
from tests.integration.database_program.site import PROGRAM, SECONDS, Site
from tests.integration.databases import Database, log_writer
from tests.integration.releases import release

COMPANIONS = ("-wal", "-shm", "-journal")
#: What all engines share is tried on one.
ONE = pytest.mark.parametrize("engine", ["sqlite"])


def counts(site: Site) -> dict[str, int]:
    found: dict[str, int] = site.run("status")["stores"]["tracking"]["counts"]
    return found


def elsewhere(site: Site, **changes: Any) -> Site:
    """The same site with another address of its database."""
    uri = make_url(site.database.uri).set(**changes).render_as_string(hide_password=False)
    return Site(site.directory, Database(uri), site.version)


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_server_is_down(site: Site) -> None:
    down = elsewhere(site, port=free_port())

    assert "refused" in down.fail("status")["found"]
    assert "refused" in down.fail("dump", site.directory / "never")["found"]
    assert not (site.directory / "never").exists()


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_wrong_password_is_told_without_it(site: Site) -> None:
    wrong = "wr0ng"
    error = elsewhere(site, password=wrong).fail("status")

    assert "password" in error["found"]
    assert "wr0ng" not in json.dumps(error)


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_no_argument_holds_the_address(site: Site, dumped: Path) -> None:
    seen = set()
    with subprocess.Popen(site.command("verify", dumped), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                seen.add(line)
            time.sleep(0.01)
    assert process.returncode == 0
    assert any("psql" in line or "mariadb --defaults-file" in line for line in seen)
    assert [line for line in seen if ODD in line or str(make_url(site.database.uri).password) in line] == []


@pytest.mark.parametrize(("engine", "program"), [("postgresql", "pg_dump"), ("mysql", "mariadb-dump")])
def test_a_missing_program_is_told_before_it_is_wanted(site: Site, program: str, tmp_path: Path) -> None:
    given = {"PATH": str(tmp_path)}
    ran = subprocess.run(site.command("status"), env=given, capture_output=True, text=True, check=True, timeout=SECONDS)

    told = json.loads(ran.stdout)["stores"]["tracking"]["cannot_dump"]
    assert told["found"] == f"there is no program {program} on this host"
    assert told["instead"].startswith("install ")
    assert "cannot_dump" not in site.run("status")["stores"]["tracking"]


@ONE
def test_a_backup_is_never_written_over(site: Site, dumped: Path) -> None:
    assert "exists" in site.fail("dump", dumped)["found"]


@ONE
@pytest.mark.parametrize("damage", ["truncated", "altered", "gone", "manifest", "no manifest"])
def test_damaged_dump_is_refused(damage: str, site: Site, dumped: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(dumped, tmp_path / "bad"))
    (file,) = (path for path in bad.iterdir() if path.name != "manifest.json")
    if damage == "truncated":
        os.truncate(file, file.stat().st_size - 1)
    elif damage == "altered":
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "gone":
        file.unlink()
    elif damage == "manifest":
        (bad / "manifest.json").write_text("{}")
    else:
        (bad / "manifest.json").unlink()
    before = counts(site)

    for command in ("verify", "restore"):
        error = site.fail(command, bad)
        assert str(bad) in error["found"]
        assert "another backup" in error["instead"] or "that `dump` has made" in error["instead"]
    assert counts(site) == before


@ONE
def test_rows_are_compared_with_the_manifest(site: Site, dumped: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copytree(dumped, tmp_path / "bad"))
    manifest = json.loads((bad / "manifest.json").read_text())
    manifest["stores"]["tracking"]["counts"]["runs"] += 1
    (bad / "manifest.json").write_text(json.dumps(manifest))

    assert "runs has 12 rows instead of 13" in site.fail("verify", bad)["found"]


@ONE
@pytest.mark.parametrize("small_disk", [24], indirect=True)
def test_short_space_is_refused(site: Site, small_disk: Path) -> None:
    (small_disk / "full").write_bytes(bytes(12 * 2**20))

    error = site.fail("dump", small_disk / "dump")

    assert "free" in error["found"]
    assert sorted(path.name for path in small_disk.iterdir()) == ["full"]


@pytest.mark.parametrize("small_disk", [24], indirect=True)
def test_disk_that_fills_up_meanwhile(site: Site, small_disk: Path) -> None:
    """The space is not looked at here, as if somebody else took it a moment later."""
    with open(small_disk / "full", "wb", buffering=0) as stream:
        stream.write(bytes(24 * 2**20 - 4096))
    blind = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); from mlflow_database import backup;"
        "backup._require_space = lambda *given: None; import runpy; runpy.run_path(sys.path[0], run_name='__main__')"
    )
    command = site.command("dump", small_disk / "dump")
    command[1:4] = ["-B", "-c", blind, str(PROGRAM)]

    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)

    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)["error"]["found"].lower()
    assert "space" in found, found
    assert sorted(path.name for path in small_disk.iterdir()) == ["full"]


def wait_for(process: subprocess.Popen[bytes], path: Path) -> None:
    """Wait until a file is there, or the process has ended."""
    while process.poll() is None and not path.exists():
        time.sleep(0.002)


@pytest.mark.parametrize("later", [0.0, 0.1, 0.4])
def test_a_killed_dump_leaves_no_backup_and_the_next_one_is_whole(later: float, site: Site, tmp_path: Path) -> None:
    place = tmp_path / "dump"
    with subprocess.Popen(site.command("dump", place), stdout=subprocess.DEVNULL) as process:
        wait_for(process, tmp_path / "dump.partial")
        time.sleep(later)
        process.kill()
    if process.returncode == -signal.SIGKILL:
        assert not place.exists() or (place / "manifest.json").exists()
    if not place.exists():
        site.run("dump", place)

    site.run("verify", place)
    assert [path.name for path in tmp_path.iterdir()] == ["dump"]


def test_a_killed_restore_is_finished_by_the_next_one(new_site: MakeSite, engine: str, tmp_path: Path) -> None:
    site = new_site(engine)
    site.mlflow("write")
    dumped = site.run("dump", tmp_path / "dump")["stores"]["tracking"]["counts"]
    began = time.monotonic()
    site.run("restore", tmp_path / "dump")
    whole = time.monotonic() - began
    killed = 0
    for part in (0.3, 0.5, 0.7, 0.8, 0.9):
        with subprocess.Popen(site.command("restore", tmp_path / "dump"), stdout=subprocess.DEVNULL) as process:
            time.sleep(whole * part)
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        if engine != "mysql":
            # The old state or the new one, which are the same here: never a part.
            assert counts(site) == dumped

    restored = site.run("restore", tmp_path / "dump")

    assert killed
    assert restored["stores"]["tracking"]["counts"] == dumped == counts(site)


@pytest.fixture
def wal(new_site: MakeSite) -> Iterator[tuple[Site, subprocess.Popen[bytes]]]:
    """A database in WAL mode, whose last change is in the log only."""
    site = new_site("sqlite")
    site.mlflow("write")
    statement = "INSERT INTO experiment_tags VALUES ('in the log', 'x', 0)"
    with log_writer(site.file, statement) as process:
        yield site, process


def test_a_dump_has_what_is_in_the_log_only(wal: tuple[Site, Any], tmp_path: Path) -> None:
    site, _process = wal

    site.run("dump", tmp_path / "dump")

    assert sorted(path.name for path in (tmp_path / "dump").iterdir()) == ["manifest.json", "tracking.sqlite"]
    with closing(sqlite3.connect(tmp_path / "dump/tracking.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM experiment_tags WHERE key = 'in the log'").fetchone() == (1,)


def test_a_log_of_a_killed_server_is_not_played_into_the_restored_file(wal: tuple[Site, Any], tmp_path: Path) -> None:
    site, process = wal
    site.run("dump", tmp_path / "dump")
    process.kill()
    process.wait()
    statement = "UPDATE runs SET name = 'later', lifecycle_stage = 'deleted'"
    with log_writer(site.file, statement):
        pass
    assert Path(f"{site.file}-wal").stat().st_size > 0

    site.run("restore", tmp_path / "dump")

    assert [end for end in COMPANIONS if Path(f"{site.file}{end}").exists()] == []
    with closing(sqlite3.connect(site.file)) as restored:
        assert restored.execute("SELECT count(*) FROM runs WHERE name = 'later'").fetchone() == (0,)
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        # As the server's owner has chosen.
        assert restored.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_database_in_use_is_not_restored(wal: tuple[Site, Any], tmp_path: Path) -> None:
    site, process = wal
    site.run("dump", tmp_path / "dump")

    assert f"process {process.pid} " in site.fail("restore", tmp_path / "dump")["found"]


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_served_database_in_use_is_not_restored(site: Site, dumped: Path) -> None:
    hold = "import sys, time, sqlalchemy; c = sqlalchemy.create_engine(sys.argv[1]).connect(); print(flush=True); time.sleep(600)"
    with subprocess.Popen(
        [str(release(site.version).python), "-c", hold, site.database.uri], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        error = site.fail("restore", dumped)
        process.kill()

    assert "is in use by" in error["found"]


@pytest.mark.parametrize("where", [0, 4096 * 10])
def test_damaged_sqlite_is_not_dumped_and_is_kept_by_a_restore(where: int, new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site("sqlite")
    written = site.mlflow("write")
    site.run("dump", tmp_path / "dump")
    with open(site.file, "r+b") as stream:
        stream.seek(where)
        stream.write(b"\xa5" * 8192)
    damaged = site.file.read_bytes()

    error = site.fail("dump", tmp_path / "damaged")
    note = site.run("restore", tmp_path / "dump")["stores"]["tracking"]["note"]

    assert "is damaged" in error["found"]
    assert not (tmp_path / "damaged").exists()
    assert Path(note.rpartition(" ")[2]).read_bytes() == damaged
    assert site.mlflow("read") == written


def test_a_missing_database_is_not_taken_for_an_empty_one(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site("sqlite")

    assert site.run("status")["stores"]["tracking"] == {"engine": "sqlite", "revision": None, "bytes": 0, "counts": {}}
    assert "there is no" in site.fail("dump", tmp_path / "dump")["found"]


def test_a_dump_of_another_kind_is_refused(new_site: MakeSite, tmp_path: Path) -> None:
    site, other = new_site("sqlite"), new_site("postgresql")
    site.mlflow("write")
    site.run("dump", tmp_path / "dump")

    assert "as sqlite, and the server's is postgresql" in other.fail("restore", tmp_path / "dump")["found"]
