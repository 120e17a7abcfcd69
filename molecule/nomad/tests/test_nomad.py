"""MLflow under a real Nomad agent: volumes, job, a client's artifacts, a new version, a bad one, and its end."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab.outcomes import prove_run

ROOT = "/mnt/mlflow"
DROP_IN = "/etc/nomad.d/mlflow-host-volumes.hcl"
SCENARIO = Path(__file__).parents[1]
SCRIPT = SCENARIO.parent / "shared/log_run.py"

Ask = Callable[[str], Any]
Deploy = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def node(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("node")


@pytest.fixture(scope="module")
def url(node: Host) -> str:
    (address,) = (found for found in node.interface("eth0").addresses if ":" not in found)
    return f"http://{address}:5000"


def image(ask_nomad: Ask) -> str:
    return str(ask_nomad("/v1/job/mlflow")["TaskGroups"][0]["Tasks"][0]["Config"]["image"])


def agent(node: Host) -> str:
    return str(node.check_output("systemctl show nomad.service --property=MainPID --value"))


def test_the_node_shows_the_volumes_and_the_users_plugin(ask_nomad: Ask, node: Host) -> None:
    (found,) = ask_nomad("/v1/nodes")
    shown = ask_nomad(f"/v1/node/{found['ID']}")

    assert {name: volume["Path"] for name, volume in shown["HostVolumes"].items()} == {
        "mlflow-artifacts": ROOT,
        "mlflow-data": "/var/lib/mlflow/backend",
    }
    # The user's file, in which the plugin's block comes last, is as it was.
    assert node.file("/etc/nomad.d/client.hcl").content == (SCENARIO / "files/client.hcl").read_bytes()
    assert shown["Drivers"]["docker"]["Healthy"]


def test_the_server_is_nobody_special_and_knows_no_secret_of_the_job(ask_nomad: Ask, node: Host) -> None:
    pid = node.check_output("pgrep --full --oldest 'mlflow server'")
    status = node.file(f"/proc/{pid}/status").content_string

    assert "Uid:\t850\t850\t850\t850" in status
    assert "Gid:\t851\t851\t851\t851" in status
    assert "CapEff:\t0000000000000000" in status
    assert "sqlite" not in json.dumps(ask_nomad("/v1/job/mlflow"))
    assert "sqlite" not in node.check_output(f"tr '\\0' ' ' </proc/{pid}/cmdline")


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_a_clients_artifacts_arrive(user: str, inventory: AnsibleRunner, node: Host, url: str) -> None:
    client = inventory.get_host("client")
    command = f"/opt/mlflow-client/current/bin/python - by-{user} 1"
    argv = f"runuser --login {user} --command {shlex.quote(command)}"

    printed = client.check_output(f"cat <<'SCRIPT' | {argv}\n{SCRIPT.read_text()}\nSCRIPT")

    logged = json.loads(printed.splitlines()[-1])
    prove_run(logged, url, ROOT, lambda argv: str(node.check_output(shlex.join(argv))))


def test_a_missing_path_is_refused_before_anything_changes(run_nomad: Deploy, node: Host) -> None:
    before, running = node.file(DROP_IN).content, agent(node)

    run = run_nomad(
        mlflow_nomad_data_directory="/nowhere/data", mlflow_nomad_backend_store_uri="sqlite:////nowhere/data/m.db"
    )

    assert run.returncode == 2, run.stdout
    assert "/nowhere/data, of the host volume mlflow-data, does not exist" in run.stdout
    assert (node.file(DROP_IN).content, agent(node)) == (before, running)


def test_a_new_version_is_waited_for(run_nomad: Deploy, ask_nomad: Ask, node: Host) -> None:
    running = agent(node)

    run = run_nomad(mlflow_nomad_image="mlflow-lab:2")

    assert run.returncode == 0, run.stdout
    assert image(ask_nomad) == "mlflow-lab:2"
    assert ask_nomad("/v1/job/mlflow/deployment")["Status"] == "successful"
    assert agent(node) == running, "the volumes are the same"


def test_a_bad_version_is_told_and_the_old_one_comes_back(
    run_nomad: Deploy, ask_nomad: Ask, node: Host, url: str
) -> None:
    run = run_nomad(mlflow_nomad_image="mlflow-lab:none", mlflow_nomad_wait=60)

    assert run.returncode == 2, run.stdout
    assert "went back to version" in run.stdout
    assert "mlflow-lab:none" in run.stdout
    assert image(ask_nomad) == "mlflow-lab:2"
    assert node.check_output(f"curl --silent {url}/health") == "OK"


def test_an_end_leaves_the_data(run_nomad: Deploy, ask_nomad: Ask, node: Host) -> None:
    for _again in range(2):
        run = run_nomad(mlflow_nomad_state="absent", mlflow_nomad_purge=True, mlflow_artifact_access="proxied")
        assert run.returncode == 0, run.stdout

    assert ask_nomad("/v1/jobs") == []
    (found,) = ask_nomad("/v1/nodes")
    assert not ask_nomad(f"/v1/node/{found['ID']}")["HostVolumes"]
    assert not node.file(DROP_IN).exists
    assert not node.file("/etc/systemd/system/nomad.service.d/50-mlflow-shares.conf").exists
    assert node.file("/var/lib/mlflow/backend/mlflow.db").exists
    assert node.check_output(f"runuser -u mlflow -- find {ROOT} -name '*.bin' -o -name '*.txt' | head -1")
