"""The site, and what one of its users has logged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

NAME, AUTHORITY = "mlflow-exposed", "/etc/mlflow-proxy/ca.pem"


@pytest.fixture(scope="session")
def site(inventory: AnsibleRunner) -> Host:
    return inventory.get_host(NAME)


@pytest.fixture(scope="session")
def url(inventory: AnsibleRunner) -> str:
    return str(inventory.get_variables(NAME)["mlflow_tracking_uri"])


@pytest.fixture(scope="session")
def alice(inventory: AnsibleRunner) -> tuple[str, str]:
    """Her account's name and password."""
    (user,) = inventory.get_variables(NAME)["mlflow_accounts_users"]
    return user["name"], user["password"]


@pytest.fixture(scope="session")
def run(site: Host, url: str, alice: tuple[str, str]) -> dict[str, Any]:
    """A run that she has logged by MLflow's client."""
    script = (Path(__file__).parents[2] / "shared/log_run.py").read_text()
    told = {
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": AUTHORITY,
        "MLFLOW_TRACKING_USERNAME": alice[0],
        "MLFLOW_TRACKING_PASSWORD": alice[1],
    }
    variables = [f"{name}={value}" for name, value in told.items()]
    command = shlex.join(["env", *variables, "/opt/mlflow/current/bin/python", "-", "exposed", "1"])
    printed = site.check_output(f"cat <<'SCRIPT' | {command}\n{script}\nSCRIPT")
    logged: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return logged
