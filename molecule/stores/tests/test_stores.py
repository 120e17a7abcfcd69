"""Files are where the inventory says, whichever way they took there, and who should not have the key hasn't."""

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
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import planted

PYTHON = "/opt/mlflow-client/current/bin/python"
SCRIPT = Path(__file__).parents[2] / "shared/log_run.py"
#: Reads a run's files back by MLflow's client, and prints their sums.
READ = """
import hashlib, json, sys, tempfile
from pathlib import Path
import mlflow
root = Path(mlflow.artifacts.download_artifacts(run_id=sys.argv[1], dst_path=tempfile.mkdtemp()))
print(json.dumps({str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
                  for path in root.rglob("*") if path.is_file()}))
"""
#: As if what is deleted had been deleted a week ago.
AGE = """
import sqlite3
with sqlite3.connect("/var/lib/mlflow/backend/mlflow.db") as database:
    database.execute("UPDATE runs SET deleted_time = deleted_time - 7 * 86400000 WHERE deleted_time IS NOT NULL")
"""
Site = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def client(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("mlflow-stores-two")


@pytest.fixture(scope="module")
def store(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("mlflow-stores-three")


@pytest.fixture(scope="module")
def given(inventory: AnsibleRunner) -> dict[str, Any]:
    described: dict[str, Any] = inventory.get_variables("mlflow-stores-one")["mlflow_artifact_store"]
    return described


def as_alice(client: Host, script: str, *arguments: str) -> Any:
    """Run a script in a login shell of a user, and return the JSON that it prints at its end."""
    command = shlex.join([PYTHON, "-", *arguments])
    argv = f"runuser --login alice --command {shlex.quote(command)}"
    return json.loads(client.check_output(f"cat <<'SCRIPT' | {argv}\n{script}\nSCRIPT").splitlines()[-1])


def kept(store: Host, directory: str) -> dict[str, str]:
    """Return the sums of what is in the bucket below a directory, by its relative path."""
    printed = store.check_output(f"cd /srv/s3/bucket/{directory} && find . -type f -exec sha256sum {{}} +")
    return {path[2:]: digest for digest, path in (line.split("  ", 1) for line in printed.splitlines())}


def requests(server: Host, path: str) -> int:
    """Return how many requests for a path the server has answered."""
    return int(
        server.check_output(f"journalctl --unit mlflow --output cat | grep --count --fixed-strings {path} || true")
    )


def test_large_files_go_to_the_store_in_parts(server: Host, client: Host, store: Host) -> None:
    """By addresses that the server signs; small ones go through it."""
    run = as_alice(client, SCRIPT.read_text(), "images", "12")

    assert run["artifact_uri"] == f"mlflow-artifacts:/images/{run['run_id']}/artifacts"
    assert kept(store, f"mlflow/images/{run['run_id']}/artifacts") == run["files"]
    assert requests(server, "/mlflow-artifacts/mpu/create/") == 1
    assert requests(server, "/mlflow-artifacts/mpu/complete/") == 1
    assert as_alice(client, READ, run["run_id"]) == run["files"]


def test_the_experiment_is_the_inventory_s(url: str, server: Host) -> None:
    told = json.loads(
        server.check_output(f"curl -sf {url}/api/2.0/mlflow/experiments/get-by-name?experiment_name=images")
    )

    assert told["experiment"]["artifact_location"] == "mlflow-artifacts:/images"
    assert {"key": "team", "value": "vision"} in told["experiment"]["tags"]


def test_the_key_is_on_the_server_alone(server: Host, client: Host) -> None:
    assert planted.on_disk(server) == {"/etc/mlflow/server.env": "640 root:mlflow"}
    assert planted.on_disk(client) == {}
    assert planted.in_journal(server) == []


def test_a_wrong_key_is_refused_before_anything_is_changed(run_site: Site, server: Host, given: dict[str, Any]) -> None:
    state = "systemctl show mlflow --property=MainPID --value; sha256sum /etc/mlflow/server.env"
    before = server.check_output(state)
    ran = run_site("--extra-vars", json.dumps({"mlflow_artifact_store": {**given, "secret_key": "wr0ng-secret"}}))

    assert ran.returncode == 2, ran.stdout
    assert "SignatureDoesNotMatch" in ran.stdout
    assert "wr0ng-secret" not in ran.stdout
    assert server.check_output(state) == before


def test_what_was_deleted_leaves_the_store(url: str, server: Host, client: Host, store: Host) -> None:
    run = as_alice(client, SCRIPT.read_text(), "images", "1")
    place = f"mlflow/images/{run['run_id']}/artifacts"
    assert kept(store, place) == run["files"]
    body = shlex.quote(json.dumps({"run_id": run["run_id"]}))
    server.check_output(f"curl -sf {url}/api/2.0/mlflow/runs/delete -H 'Content-Type: application/json' -d {body}")
    server.check_output(f"cat <<'SCRIPT' | python3 -\n{AGE}\nSCRIPT")

    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    wished = json.dumps({"mlflow_gc_delete": True, "mlflow_gc_older_than_days": 1})
    ran = run_playbook("gc.yml", "--inventory", inventory, "--extra-vars", wished)
    assert ran.returncode == 0, ran.stdout
    server.check_output("systemctl start mlflow-gc.service")

    assert store.check_output(f"find /srv/s3/bucket/{place} -type f 2>/dev/null || true") == ""


def test_clients_write_to_the_store_themselves(
    run_site: Site, server: Host, client: Host, store: Host, given: dict[str, Any]
) -> None:
    """By the driver and the key that they are given, which strangers on their hosts can't read."""
    parts = {name: value for name, value in given.items() if not name.startswith("multipart")}
    ran = run_site("--extra-vars", json.dumps({"mlflow_artifact_store": {**parts, "access": "direct"}}))
    assert ran.returncode == 0, ran.stdout
    assert planted.MARK not in ran.stdout
    passed = requests(server, "/mlflow-artifacts/")

    run = as_alice(client, SCRIPT.read_text(), "direct", "1")

    assert run["artifact_uri"].startswith("s3://bucket/mlflow/")
    assert kept(store, run["artifact_uri"].removeprefix("s3://bucket/")) == run["files"]
    assert as_alice(client, READ, run["run_id"]) == run["files"]
    assert requests(server, "/mlflow-artifacts/") == passed
    assert planted.on_disk(client) == {"/etc/environment.d/61-mlflow-artifact-store.conf": "640 root:mlflow-users"}
    assert client.run("runuser --login bob --command 'cat /etc/environment.d/61-mlflow-artifact-store.conf'").rc != 0
