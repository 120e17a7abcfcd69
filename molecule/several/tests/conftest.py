"""The two servers, and what one of them is told through the proxy."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

PYTHON = "/opt/mlflow/current/bin/python"
#: Asks one server for a run by the client's library, and for the sums of its artifacts.
ASK = """
import hashlib, json, sys, tempfile
from pathlib import Path
import mlflow
root = Path(mlflow.artifacts.download_artifacts(run_id=sys.argv[1], dst_path=tempfile.mkdtemp()))
run = mlflow.get_run(sys.argv[1])
sums = {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*") if path.is_file()}
print(json.dumps({"params": run.data.params, "metrics": run.data.metrics, "files": sums}))
"""


@pytest.fixture(scope="session")
def servers(inventory: AnsibleRunner) -> list[Host]:
    return [inventory.get_host(name) for name in sorted(inventory.get_hosts("mlflow_server"))]


@pytest.fixture(scope="session")
def proxy(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("mlflow-several-three")


@pytest.fixture(scope="session")
def log_run(servers: list[Host]) -> Callable[[], dict[str, Any]]:
    """Log a run through the proxy, and return what was logged."""
    script = (Path(__file__).parents[2] / "shared/log_run.py").read_text()
    told = "MLFLOW_TRACKING_URI=https://three.lab.test MLFLOW_TRACKING_SERVER_CERT_PATH=/etc/ssl/lab/ca.pem"

    def log() -> dict[str, Any]:
        printed = servers[0].check_output(f"cat <<'SCRIPT' | env {told} {PYTHON} - several 1\n{script}\nSCRIPT")
        logged: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return logged

    return log


@pytest.fixture(scope="session")
def check_known(servers: list[Host]) -> Callable[[dict[str, Any]], None]:
    """See that each server, asked directly, has all of a run."""

    def check(logged: dict[str, Any]) -> None:
        for server in servers:
            command = shlex.join(["env", "MLFLOW_TRACKING_URI=http://localhost:5000", PYTHON, "-c", ASK])
            printed = server.check_output(f"{command} {logged['run_id']}")
            assert json.loads(printed.splitlines()[-1]) == {
                name: logged[name] for name in ("params", "metrics", "files")
            }

    return check


@pytest.fixture(scope="session")
def releases(servers: list[Host]) -> Callable[[], list[str]]:
    """Return the release that each running server has."""

    def ask() -> list[str]:
        for server in servers:
            assert server.service("mlflow").is_running
        return [server.check_output("readlink /opt/mlflow/current").split("-")[1] for server in servers]

    return ask
