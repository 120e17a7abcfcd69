"""What a hand-made deployment had is there after it was adopted, moved twice, moved back, cleaned up and removed."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_playbook
from testinfra.host import Host

from lab.tracking import get_run, list_artifacts, search_experiments

OLD = "/home/alice/mlflow_data"
ADOPTED, SECOND, THIRD = (f"/srv/mlflow/{name}" for name in ("artifacts", "second", "third"))
DATABASE = "/var/lib/mlflow/backend/mlflow.db"

Play = Callable[..., str]


@pytest.fixture(scope="module")
def play() -> Play:
    """Run a playbook with variables on the scenario's host, and return what it said."""

    def play(name: str, *options: str, **given: Any) -> str:
        run: subprocess.CompletedProcess[str] = run_playbook(
            name, "--inventory", inventory_directory(), "--extra-vars", json.dumps(given), *options
        )
        assert run.returncode == 0, run.stdout
        return run.stdout

    return play


UNIT = """\
[Unit]
After=postgresql.service

[Service]
User=alice
WorkingDirectory=/home/alice
ExecStart=/home/alice/mlflow-venv/bin/mlflow server --host 0.0.0.0 --port 5000 --default-artifact-root /srv/by-hand \
--backend-store-uri postgresql+psycopg2://alice:s%%40fe@127.0.0.1/tracking

[Install]
WantedBy=multi-user.target
"""
#: What the inventory says of that; the record of the first adoption stays where it is.
BY_HAND = {
    "mlflow_version": "3.17.2",
    "mlflow_server_backend_store_uri": "postgresql+psycopg://alice:s%40fe@127.0.0.1/tracking",
    "mlflow_backup_directory": "/var/backups/by-hand",
}
DUMP = f"import sqlite3; print(*sqlite3.connect('{DATABASE}').iterdump(), sep='\\n')"


def inventory_directory() -> str:
    return str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)


def journal(server: Host) -> str:
    return str(server.check_output("journalctl --unit mlflow-gc.service --output cat --no-pager"))


def naming(server: Host, text: str) -> str:
    """Return the lines of the database's dump that have a text."""
    script = (
        f"import sqlite3; print(*(l for l in sqlite3.connect('{DATABASE}').iterdump() if {text!r} in l), sep='\\n')"
    )
    return str(server.check_output(f"python3 -c {shlex.quote(script)}")).strip()


def check(server: Host, url: str, logged: dict[str, Any], root: str) -> None:
    """Prove that the server knows the run, lists its files, and has them with the right contents."""
    assert get_run(url, logged["run_id"]).status == "FINISHED"
    listed = list_artifacts(url, logged["run_id"])
    assert set(logged["files"]) <= set(listed)
    directory = server.check_output(f"find {root} -type d -path '*{logged['run_id']}/artifacts'").strip()
    for name, digest in logged["files"].items():
        told = server.check_output(f"runuser -u mlflow -- sha256sum {shlex.quote(f'{directory}/{name}')}")
        assert told.lstrip("\\").split()[0] == digest


def test_adopted_with_all_that_it_had(server: Host, url: str, logged: dict[str, Any]) -> None:
    check(server, url, logged, ADOPTED)
    assert naming(server, OLD) == ""
    assert server.run("pgrep --uid alice --full mlflow").rc == 1
    # What was there is there still, and alice's.
    assert server.file(f"{OLD}/mlflow.db").user == "alice"
    assert server.check_output(f"find {OLD}/artifacts -type f | wc -l") != "0"
    assert server.check_output(f"find {OLD} ! -user alice") == ""


def test_moved_to_another_root_and_to_proxied_and_back(
    server: Host, url: str, logged: dict[str, Any], play: Play
) -> None:
    before = server.check_output(f"python3 -c {shlex.quote(DUMP)}")

    told = play("move_artifacts.yml", "--check", "--diff", mlflow_artifact_root=SECOND)
    assert "values of runs.artifact_uri" in told
    assert not server.file(SECOND).exists

    play("move_artifacts.yml", mlflow_artifact_root=SECOND)
    check(server, url, logged, SECOND)
    assert naming(server, f"{ADOPTED}/") == ""

    play("move_artifacts.yml", mlflow_artifact_root=THIRD, mlflow_artifact_access="proxied")
    check(server, url, logged, THIRD)
    assert naming(server, "/srv/mlflow") == ""
    again = play("move_artifacts.yml", mlflow_artifact_root=THIRD, mlflow_artifact_access="proxied")
    assert "changed=0" in again

    play("move_artifacts.yml", mlflow_artifact_root=SECOND, mlflow_artifact_move_undo=True)
    check(server, url, logged, SECOND)
    play("move_artifacts.yml", mlflow_artifact_root=ADOPTED)
    check(server, url, logged, ADOPTED)
    assert server.check_output(f"python3 -c {shlex.quote(DUMP)}") == before


def test_what_was_deleted_is_reported_and_then_removed(
    server: Host, url: str, logged: dict[str, Any], play: Play
) -> None:
    gone = logged["deleted_run_id"]
    # As if it had been deleted two days ago.
    for change in ("runs set deleted_time = deleted_time", "experiments set last_update_time = last_update_time"):
        script = (
            f"import sqlite3; c = sqlite3.connect('{DATABASE}'); c.execute('update {change} - 172800000'); c.commit()"
        )
        server.check_output(f"python3 -c {shlex.quote(script)}")
    (directory,) = server.check_output(f"find {ADOPTED} -type d -name {gone}").splitlines()

    play("gc.yml", mlflow_gc_older_than_days=1)
    assert "changed=0" in play("gc.yml", mlflow_gc_older_than_days=1)
    server.check_output("systemctl start mlflow-gc.service")
    told = journal(server)
    assert "1 runs, 1 experiments" in told
    assert "nothing is removed" in told
    assert gone in naming(server, gone)

    play("gc.yml", mlflow_gc_older_than_days=1, mlflow_gc_delete=True)
    server.check_output("systemctl start mlflow-gc.service")
    assert "removed 2 of 2" in journal(server)
    assert naming(server, gone) == ""
    assert server.check_output(f"find {directory} -type f") == ""
    check(server, url, logged, ADOPTED)


def test_removed_without_its_data(server: Host, play: Play) -> None:
    before = server.check_output(
        f"find {ADOPTED} {DATABASE} /var/backups/mlflow -type f | sort | xargs -d '\\n' sha256sum"
    )

    refused = run_playbook(
        "uninstall.yml", "--inventory", inventory_directory(), "--extra-vars", '{"mlflow_uninstall_data": ["/srv"]}'
    )
    assert refused.returncode == 2
    assert "mlflow_uninstall_data has /srv" in refused.stdout
    assert server.service("mlflow").is_running

    play("uninstall.yml", "--check")
    assert server.service("mlflow").is_running
    play("uninstall.yml")
    assert "changed=0" in play("uninstall.yml")

    assert not server.file("/opt/mlflow/current").exists
    # It ends with 1 where it has nothing to list.
    assert server.run("systemctl list-unit-files --no-legend 'mlflow*'").stdout == ""
    after = server.check_output(
        f"find {ADOPTED} {DATABASE} /var/backups/mlflow -type f | sort | xargs -d '\\n' sha256sum"
    )
    assert after == before

    play("uninstall.yml", mlflow_uninstall_data=["/var/lib/mlflow"])
    assert not server.file("/var/lib/mlflow").exists
    assert server.file(ADOPTED).exists


def psql(server: Host, statement: str, database: str = "tracking") -> str:
    command = f"runuser -u postgres -- psql --no-align --tuples-only --command {shlex.quote(statement)} {database}"
    return str(server.check_output(command)).strip()


def as_alice(server: Host, command: str) -> str:
    return str(server.check_output(f"runuser --login alice --command {shlex.quote(command)}"))


@pytest.fixture(scope="module")
def by_hand(server: Host, url: str) -> dict[str, Any]:
    """Run a server by a hand-written unit of the name that ours has, on PostgreSQL, and return what was logged."""
    psql(server, "create role alice login password 's@fe'", "postgres")
    psql(server, "create database tracking owner alice", "postgres")
    server.check_output("install -d -o alice /srv/by-hand")
    as_alice(server, "VIRTUAL_ENV=mlflow-venv mlflow-venv/bin/uv pip install -q --system-certs psycopg2-binary==2.9.10")
    server.check_output(f"printf %s {shlex.quote(UNIT)} > /etc/systemd/system/mlflow.service")
    server.check_output("systemctl daemon-reload && systemctl enable --now mlflow.service")
    wait_until_it_answers(url)
    said = as_alice(server, "MLFLOW_TRACKING_URI=http://127.0.0.1:5000 mlflow-venv/bin/python log_everything.py")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def wait_until_it_answers(url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            search_experiments(url)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(1)
        else:
            return


def test_an_adoption_that_fails_gives_the_host_back(server: Host, url: str, by_hand: dict[str, Any]) -> None:
    schema, runs = psql(server, "select version_num from alembic_version"), psql(server, "select count(*) from runs")
    given = json.dumps({**BY_HAND, "mlflow_server_environment": {"MLFLOW_UVICORN_OPTS": "--no-such-option"}})

    failed = run_playbook("adopt.yml", "--inventory", inventory_directory(), "--extra-vars", given, seconds=600)

    assert failed.returncode == 2
    assert "failed at the step 'start' and was taken back" in failed.stdout
    assert "mlflow.service, the old server, answers again with its database as it was" in failed.stdout
    assert "s%40fe" not in failed.stdout
    assert server.file("/etc/systemd/system/mlflow.service").content_string == UNIT
    assert server.service("mlflow").is_enabled
    assert server.check_output("ls /etc/mlflow").startswith("server.env.not-adopted-")
    assert psql(server, "select version_num from alembic_version") == schema
    assert psql(server, "select count(*) from runs") == runs
    check(server, url, by_hand, "/srv/by-hand")


def test_the_next_attempt_adopts_it(server: Host, url: str, by_hand: dict[str, Any]) -> None:
    """With what was logged in between."""
    script = "import mlflow; run = mlflow.start_run(); mlflow.log_text('later', 'later.txt'); mlflow.end_run();"
    command = f"MLFLOW_TRACKING_URI={url} mlflow-venv/bin/python -c {shlex.quote(script + ' print(run.info.run_id)')}"
    run_id = as_alice(server, command).split()[-1]
    later = {"run_id": run_id, "files": {"later.txt": hashlib.sha256(b"later").hexdigest()}}
    runs = psql(server, "select count(*) from runs")

    given = json.dumps(BY_HAND)
    done = run_playbook("adopt.yml", "--inventory", inventory_directory(), "--extra-vars", given, seconds=600)

    assert done.returncode == 0, done.stdout
    for logged in (by_hand, later):
        check(server, url, logged, ADOPTED)
    assert psql(server, "select count(*) from runs") == runs
    assert psql(server, "select count(*) from runs where artifact_uri like '%by-hand%'") == "0"
    assert server.check_output("systemctl show --property=User --value mlflow.service") == "mlflow"
    assert server.check_output("find /srv/by-hand ! -user alice") == ""
