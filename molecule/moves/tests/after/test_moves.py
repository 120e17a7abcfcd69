"""What a hand-made deployment had is there after it was adopted, moved twice, moved back, cleaned up and removed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_playbook
from testinfra.host import Host

from lab.tracking import get_run, list_artifacts

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
