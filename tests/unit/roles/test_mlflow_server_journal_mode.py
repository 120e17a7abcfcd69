"""SQLite's files get the journal mode that is wished, and keep what is in them."""

from __future__ import annotations

import runpy
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.roles.role_files import ROLES

PROGRAM = ROLES / "mlflow_server" / "files" / "mlflow-journal-mode"
CODE = runpy.run_path(str(PROGRAM))
MOUNTS = (
    "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n"
    "40 22 0:45 / /srv/my\\040nas rw shared:7 - nfs4 nas:/srv rw\n"
    "41 22 0:46 / /home rw - fuse.sshfs nas:/home rw\n"
    "42 40 254:2 / /srv/my\\040nas/local rw - xfs /dev/vdb1 rw\n"
)


def run(mode: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(PROGRAM), mode, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def mode(file: Path) -> str:
    """The mode by the file's header (SQLite's "Database File Format", 1.3.3), not by SQLite."""
    return {b"\x01\x01": "delete", b"\x02\x02": "wal"}[file.read_bytes()[18:20]]


def rows(file: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT seven FROM t").fetchall()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "my.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS seven")
        connection.commit()
    return file


def test_there_and_back_and_nothing_to_do(database: Path) -> None:
    assert run("delete", database).stdout == ""
    assert run("wal", database).stdout == f"{database}: journal mode wal\n"
    assert mode(database) == "wal"
    before = database.read_bytes()
    assert (run("wal", database).stdout, database.read_bytes()) == ("", before)
    assert run("delete", database).returncode == 0
    assert mode(database) == "delete"
    assert rows(database) == [(7,)]


def test_what_a_killed_server_left_in_the_log_is_not_lost(database: Path) -> None:
    run("wal", database)
    killed = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (8)'); c.commit()"
    )
    subprocess.run([sys.executable, "-c", f"{killed}; os._exit(0)", str(database)], check=True)
    assert database.with_name("my.db-wal").stat().st_size > 0

    assert run("delete", database).returncode == 0

    assert not database.with_name("my.db-wal").exists()
    assert rows(database) == [(7,), (8,)]


def test_a_file_that_is_yet_to_come_is_made(tmp_path: Path) -> None:
    assert run("wal", tmp_path / "new.db").returncode == 0
    assert mode(tmp_path / "new.db") == "wal"


def test_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_text("no database, but long enough for one" * 100)
    ran = run("wal", tmp_path / "no.db")
    assert ran.returncode == 1
    assert "no.db can't have journal mode wal: file is not a database" in ran.stderr
    assert "unable to open database file" in run("wal", tmp_path / "no" / "my.db").stderr


@pytest.mark.parametrize(
    ("path", "wished", "kind"),
    [
        ("/srv/mlflow/my.db", "wal", ""),
        ("/srv/my nas/my.db", "wal", "nfs4"),
        ("/srv/my nas/my.db", "delete", ""),
        ("/srv/my nas/local/my.db", "wal", ""),
        ("/srv/my nas2/my.db", "wal", ""),
        ("/home/my.db", "wal", "fuse.sshfs"),
    ],
)
def test_wal_is_refused_where_other_hosts_may_write(path: str, wished: str, kind: str) -> None:
    reason = CODE["refusal"](path, wished, MOUNTS)
    assert reason.startswith(f"it lies on {kind}," if kind else "")
    assert bool(reason) == bool(kind)
