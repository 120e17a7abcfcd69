"""Two servers on one database, under a real Nomad of two nodes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab.outcomes import prove_run

ROOT = "/mnt/mlflow"
SCRIPT = Path(__file__).parents[2] / "shared/log_run.py"
NODES = ("node", "node2")

Ask = Callable[[str], Any]
Deploy = Callable[..., subprocess.CompletedProcess[str]]


def running_on(ask: Ask) -> list[str]:
    allocations = ask("/v1/job/mlflow/allocations")
    return sorted(one["NodeName"] for one in allocations if one["ClientStatus"] == "running")


def address(host: Host) -> str:
    (found,) = (one for one in host.interface("eth0").addresses if ":" not in one)
    return f"http://{found}:5000"


def on(host: Host) -> Callable[[Sequence[str]], str]:
    return lambda argv: str(host.check_output(shlex.join(argv)))


@pytest.fixture(scope="module")
def hosts(inventory: AnsibleRunner) -> dict[str, Host]:
    return {name: inventory.get_host(name) for name in (*NODES, "client")}


def test_a_server_runs_on_each_node_and_both_are_found(ask_nomad: Ask) -> None:
    assert running_on(ask_nomad) == list(NODES)
    assert len(ask_nomad("/v1/service/mlflow")) == len(NODES)


def test_one_server_made_the_database_before_there_were_two(ask_nomad: Ask) -> None:
    versions = ask_nomad("/v1/job/mlflow/versions")["Versions"]
    counts = {version["Version"]: version["TaskGroups"][0]["Count"] for version in versions}
    assert counts == {0: 1, 1: 2}

    first = next(one for one in ask_nomad("/v1/job/mlflow/deployments") if one["JobVersion"] == 0)
    assert first["Status"] == "successful"


def test_what_one_server_is_told_the_other_knows(hosts: dict[str, Host]) -> None:
    command = "/opt/mlflow-client/current/bin/python - by-alice 1"
    argv = f"runuser --login alice --command {shlex.quote(command)}"

    printed = hosts["client"].check_output(f"cat <<'SCRIPT' | {argv}\n{SCRIPT.read_text()}\nSCRIPT")

    logged = json.loads(printed.splitlines()[-1])
    for name in NODES:
        prove_run(logged, address(hosts[name]), ROOT, on(hosts[name]))


def test_sqlite_is_refused_before_anything_changes(run_nomad: Deploy, ask_nomad: Ask) -> None:
    before = ask_nomad("/v1/job/mlflow")["JobModifyIndex"]

    run = run_nomad(mlflow_nomad_count=1, mlflow_nomad_backend_store_uri="sqlite:////var/lib/mlflow/backend/mlflow.db")

    assert run.returncode == 2, run.stdout
    assert "the database is SQLite, and 2 hosts have its volume: node, node2" in run.stdout
    assert ask_nomad("/v1/job/mlflow")["JobModifyIndex"] == before


def test_a_token_without_the_rights_is_refused_before_anything_changes(run_nomad: Deploy, ask_nomad: Ask) -> None:
    before = ask_nomad("/v1/job/mlflow")["JobModifyIndex"]

    run = run_nomad(mlflow_nomad_token="", mlflow_nomad_image="mlflow-lab:2")

    assert run.returncode == 2, run.stdout
    assert 'capabilities = ["submit-job"]' in run.stdout
    assert 'agent { policy = "read" }' in run.stdout
    assert ask_nomad("/v1/job/mlflow")["JobModifyIndex"] == before


def test_a_new_version_is_waited_for_on_both_nodes(run_nomad: Deploy, ask_nomad: Ask) -> None:
    run = run_nomad(mlflow_nomad_image="mlflow-lab:2")

    assert run.returncode == 0, run.stdout
    assert running_on(ask_nomad) == list(NODES)
    assert ask_nomad("/v1/job/mlflow/deployment")["Status"] == "successful"


def test_the_proof_looks_where_the_server_runs(run_nomad: Deploy, ask_nomad: Ask, hosts: dict[str, Host]) -> None:
    operator = "NOMAD_TOKEN=2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
    drained = hosts["node"].run(f"{operator} nomad node drain -enable -yes -self -detach")
    assert drained.rc == 0, drained.stderr

    run = run_nomad(mlflow_nomad_image="mlflow-lab:2", mlflow_nomad_count=1)

    assert run.returncode == 0, run.stdout
    assert running_on(ask_nomad) == ["node2"]
    assert re.search(r"^node2\s+\(server\)\s+fine", run.stdout, re.MULTILINE), run.stdout[-3000:]
