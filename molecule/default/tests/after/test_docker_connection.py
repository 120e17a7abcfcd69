"""The artifact path is proved, and found to be wrong, over connections of Docker."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab.checked import classes, verdicts

ROOT = "/srv/mlflow/artifacts"
LEFT = f"find {ROOT} -name '.mlflow-*'"

Verify = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def members(server: Host) -> Iterator[None]:
    """Users who may write to the server's own artifact root, as on a site of direct access."""
    for user in ("alice", "bob"):
        server.check_output(f"gpasswd --add {user} mlflow-users")
    yield
    for user in ("alice", "bob"):
        server.check_output(f"gpasswd --delete {user} mlflow-users")


@pytest.fixture
def plain(inventory: AnsibleRunner) -> Iterator[Host]:
    """Another container, which has people and a directory of that name, but not the share."""
    (name,) = inventory.get_hosts("without_systemd")
    host = inventory.get_host(name)
    host.check_output(f"useradd --uid 2001 alice && install -d {ROOT} && chmod 777 {ROOT}")
    yield host
    host.check_output("userdel alice && rm -r /srv/mlflow")


@pytest.fixture
def verify(
    run_verify: Verify, inventory: AnsibleRunner, members: None, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    (server_name,) = inventory.get_hosts("mlflow_server")
    given = {
        "mlflow_artifact_access": "direct",
        "mlflow_artifact_root": ROOT,
        "mlflow_artifact_check_tracking_uri": "http://localhost:5000",
        "mlflow_artifact_check_report": str(tmp_path / "report.json"),
    }

    def run(clients: dict[str, dict[str, Any]]) -> subprocess.CompletedProcess[str]:
        groups = tmp_path / "groups.yml"
        groups.write_text(
            json.dumps({"mlflow_clients": {"hosts": {server_name: {"mlflow_users": ["alice", "bob"]}, **clients}}})
        )
        inventories = [str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent), str(groups)]
        options = [word for path in inventories for word in ("--inventory", path)]
        return run_verify(*options, "--extra-vars", json.dumps(given))

    return run


def test_users_are_proved_in_the_view_of_the_running_service(
    verify: Verify, server: Host, inventory: AnsibleRunner, tmp_path: Path
) -> None:
    (name,) = inventory.get_hosts("mlflow_server")

    run = verify({})

    assert run.returncode == 0, run.stdout
    assert "changed=0" in run.stdout
    assert verdicts(tmp_path / "report.json") == {f"alice on {name}": "proved", f"bob on {name}": "proved"}
    assert classes(tmp_path / "report.json", "warning") == set()
    assert server.check_output(LEFT) == ""


def test_a_container_without_the_share_is_told_what_to_do(
    verify: Verify, server: Host, plain: Host, inventory: AnsibleRunner, tmp_path: Path
) -> None:
    (name,), (other,) = inventory.get_hosts("mlflow_server"), inventory.get_hosts("without_systemd")

    run = verify({other: {"mlflow_users": ["alice"]}})

    assert run.returncode == 2, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"alice on {name}": "proved",
        f"bob on {name}": "proved",
        f"alice on {other}": "failed",
    }
    assert classes(tmp_path / "report.json", "error") == {"local_directory"}
    assert "-> " in run.stdout
    assert f"local_directory for alice on {other}" in run.stdout
    assert server.check_output(LEFT) == ""
    assert plain.check_output(LEFT) == ""
