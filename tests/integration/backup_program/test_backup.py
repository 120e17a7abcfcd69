"""Backups of a real SQLite database and of files: rsync, restic and none; made, kept, restored, refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from lab import requirements
from lab.base import LabError, Places, Progress
from tests.integration.releases import FILES, NEWEST, release
from tools import stage

PROGRAM = FILES / "mlflow-database"
BACKUP = stage.REPOSITORY / "roles/mlflow_backup/files/mlflow-backup"
METHODS = ["rsync", "restic"]
pytestmark = pytest.mark.usefixtures("programs")


@pytest.fixture(scope="session")
def programs() -> None:
    """What copies files is installed, or that can't be done here."""
    try:
        requirements.require(Places.from_environment(os.environ), "backups", Progress("backups"))
    except LabError as error:
        pytest.skip(f"SKIPPED: {error}")


@dataclass
class Host:
    """A server's files and the configuration of its backups."""

    place: Path
    settings: dict[str, Any]

    @property
    def backups(self) -> Path:
        """Where they are kept."""
        return self.place / "backups"

    @property
    def artifacts(self) -> Path:
        """The artifact root."""
        return self.place / "artifacts"

    @property
    def database(self) -> Path:
        """The file of SQLite."""
        return self.place / "backend/mlflow.db"

    def run(self, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run the program."""
        lines = "".join(f"{name} = {value}\n" for name, value in {**self.settings, **settings}.items())
        (self.place / "backup.conf").write_text(f"[backup]\n{lines}")
        command = [sys.executable, "-IB", str(BACKUP), "--config", str(self.place / "backup.conf"), *arguments]
        given = {**os.environ, "STATE_DIRECTORY": str(self.place), "RESTIC_CACHE_DIR": str(self.place / "cache")}
        given.pop("JOURNAL_STREAM", None)
        return subprocess.run(command, capture_output=True, text=True, check=False, env=given, timeout=120)

    def do(self, *arguments: str, **settings: Any) -> dict[str, Any]:
        """Run the program, which has to succeed."""
        ran = self.run(*arguments, **settings)
        assert ran.returncode == 0, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def back_up(self, **settings: Any) -> str:
        """Make a backup; each second has one name."""
        time.sleep(1.1)
        return str(self.do("run", **settings)["name"])

    def log(self, run: str) -> None:
        """Add a run and its artifact, as a server would."""
        with closing(sqlite3.connect(self.database)) as database:
            database.execute("INSERT INTO runs SELECT ?, experiment_id FROM experiments LIMIT 1", [run])
            database.commit()
        path = self.artifacts / "1" / run / "artifacts/model.bin"
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(1000))

    def files(self) -> dict[str, bytes]:
        """The content of all artifacts."""
        found = (path for path in self.artifacts.rglob("*") if path.is_file())
        return {str(path.relative_to(self.artifacts)): path.read_bytes() for path in found}

    def runs(self) -> list[str]:
        """The runs in the database."""
        with closing(sqlite3.connect(self.database)) as database:
            return [row[0] for row in database.execute("SELECT run_uuid FROM runs ORDER BY run_uuid")]

    def lose(self) -> None:
        """Be a fresh host: a server that was started once, and no artifact."""
        shutil.rmtree(self.artifacts)
        self.artifacts.mkdir()
        make_database(self.database)


def make_database(path: Path) -> None:
    """Make the tables that the program looks at; tests/integration/database_program has MLflow's own."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE experiments (experiment_id); CREATE TABLE runs (run_uuid, experiment_id);"
            "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('abc');"
            "INSERT INTO experiments VALUES (0);"
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    for name in ("backups", "artifacts", "backend"):
        (tmp_path / name).mkdir()
    (tmp_path / "password").write_text("s3cret of restic")
    uri = f"sqlite:///{tmp_path}/backend/mlflow.db"
    secret = {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_PORT": 5000, "AWS_SECRET_ACCESS_KEY": "s3cret"}
    (tmp_path / "server.env").write_text(environment.render(secret))
    made = Host(
        tmp_path,
        {
            "directory": tmp_path / "backups",
            "python": release(NEWEST).python,
            "program": PROGRAM,
            "environment": tmp_path / "server.env",
            "artifacts": "rsync",
            "artifact_root": tmp_path / "artifacts",
            "keep": 3,
            "sample": 5,
            "snapshot_command": "",
            "restic_repository": tmp_path / "repository",
            "restic_password_file": tmp_path / "password",
            "restic_forget": "yes",
            "configuration": tmp_path / "server.env",
            "data": tmp_path / "backend",
        },
    )
    make_database(made.database)
    for run in ("a", "b", "c"):
        made.log(run)
    yield made
    shutil.rmtree(PROGRAM / "mlflow_database/__pycache__", ignore_errors=True)


def test_old_ones_that_can_not_be_dropped_are_told(host: Host) -> None:
    """While another backup has the repository: the new one is whole, and the next drops what is too much."""
    host.back_up(artifacts="restic")
    restic = ["restic", "--repo", str(host.place / "repository"), "--password-file", str(host.place / "password")]
    with subprocess.Popen([*restic, "--no-cache", "backup", "--stdin"], stdin=subprocess.PIPE) as other:
        wait_for_lock(host.place / "repository/locks")
        ran = host.run("run", artifacts="restic", keep=1)
        assert other.stdin is not None
        other.stdin.close()
    assert ran.returncode == 1
    assert "the backup is made, and old ones could not be dropped" in ran.stderr
    assert "mlflow_backup_restic_forget" in ran.stderr
    assert len(host.do("list", keep=1)["backups"]) == 1


def wait_for_lock(locks: Path) -> None:
    deadline = time.monotonic() + 60
    while not list(locks.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("method", METHODS)
def test_a_lost_host_is_restored(method: str, host: Host) -> None:
    runs, files = host.runs(), host.files()
    name = host.back_up(artifacts=method)
    host.lose()

    told = host.do("restore", artifacts=method)

    assert (told["name"], told["sampled"], told["kept"]) == (name, 3, "")
    assert (host.runs(), host.files()) == (runs, files)


def test_restic_s_repository_alone_restores_a_host(host: Host) -> None:
    runs, files = host.runs(), host.files()
    host.back_up(artifacts="restic")
    host.lose()
    shutil.rmtree(host.backups)
    host.backups.mkdir()

    host.do("restore", artifacts="restic")

    assert (host.runs(), host.files()) == (runs, files)
    assert sorted(path.name for path in host.backups.iterdir()) == [".lock"]


@pytest.mark.parametrize("method", METHODS)
def test_as_many_as_wished_are_kept(method: str, host: Host) -> None:
    names = [host.back_up(artifacts=method, keep=2) for _each in range(3)]

    assert host.do("list", artifacts=method)["backups"] == [names[2], names[1]]
    if method == "restic":
        given = {**os.environ, "RESTIC_PASSWORD_FILE": str(host.place / "password")}
        command = ["restic", "--repo", str(host.place / "repository"), "snapshots", "--json", "--no-cache"]
        assert len(json.loads(subprocess.check_output(command, env=given))) == 2


def test_no_secret_is_kept(host: Host) -> None:
    kept = (host.backups / host.back_up() / "configuration/server.env").read_text()

    assert "s3cret" not in kept
    assert "sqlite" not in kept
    assert 'MLFLOW_PORT="5000"' in kept


def test_present_data_is_refused_then_kept(host: Host) -> None:
    host.back_up()
    host.log("later")
    (host.artifacts / "1/a/artifacts/model.bin").write_bytes(b"changed")

    refused = host.run("restore")
    told = host.do("restore", "--overwrite")

    assert refused.returncode == 3
    assert "the database holds 4 runs" in refused.stderr
    assert host.runs() == ["a", "b", "c"]
    assert (Path(told["kept"]) / "artifacts/1/a/artifacts/model.bin").read_bytes() == b"changed"
    assert (Path(told["kept"]) / "database/manifest.json").is_file()
    # What the backup does not have stays.
    assert (host.artifacts / "1/later/artifacts/model.bin").is_file()


def spoil_database(backup: Path) -> None:
    path = backup / "database/tracking.sqlite"
    os.truncate(path, path.stat().st_size - 1)


def spoil_artifact(backup: Path) -> None:
    path = backup / "artifacts/1/a/artifacts/model.bin"
    content = path.read_bytes()
    # Another file in this backup: the older ones have links to the same.
    path.unlink()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@pytest.mark.parametrize("spoil", [spoil_database, spoil_artifact])
def test_a_damaged_backup_names_the_newest_good_one(spoil: Callable[[Path], None], host: Host) -> None:
    good, newest = host.back_up(), host.back_up()
    spoil(host.backups / newest)
    host.lose()

    ran = host.run("restore")

    assert ran.returncode == 3
    assert f"the backup {newest} is damaged" in ran.stderr
    assert f"mlflow_restore_backup: {good}" in ran.stderr
    assert (host.runs(), host.files()) == ([], {})
    assert host.do("restore", good)["name"] == good


def test_without_artifacts_the_snapshot_s_name_is_kept_and_its_files_are_looked_at(host: Host) -> None:
    command = "printf '%s\\n' tank/mlflow@100%"
    name = host.back_up(artifacts="none", snapshot_command=command)
    record = json.loads((host.backups / name / "backup.json").read_text())
    lost = host.artifacts / "1/b/artifacts/model.bin"
    content = lost.read_bytes()
    lost.unlink()
    make_database(host.database)

    refused = host.run("restore", artifacts="none")
    lost.write_bytes(content)
    host.do("restore", artifacts="none")

    assert record["artifacts"]["snapshot"] == "tank/mlflow@100%"
    assert refused.returncode == 3
    assert "put the share's snapshot tank/mlflow@100% back" in refused.stderr
    assert host.runs() == ["a", "b", "c"]


def test_a_failed_backup_leaves_the_others_and_says_so_to_prometheus(host: Host) -> None:
    good = host.back_up()
    with open(host.database, "r+b") as stream:
        stream.write(b"\xa5" * 4096)

    ran = host.run("run")
    metrics = (host.place / "mlflow_backup.prom").read_text()

    assert ran.returncode == 1
    assert "is damaged" in ran.stderr
    assert sorted(path.name for path in host.backups.iterdir()) == [".lock", good]
    assert "mlflow_backup_last_run_success 0\n" in metrics
    assert "mlflow_backup_last_success_timestamp_seconds " in metrics


def test_what_a_killed_backup_left_is_cleared_away(host: Host) -> None:
    (host.backups / ".partial/database.partial").mkdir(parents=True)
    (host.backups / ".scratch").mkdir()

    name = host.back_up()

    assert sorted(path.name for path in host.backups.iterdir()) == [".lock", name]


def test_the_same_file_system_is_warned_of(host: Host) -> None:
    assert "one broken disk takes both" in host.run("run").stderr
