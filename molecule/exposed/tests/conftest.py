"""The site, and what one of its users has logged."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

NAME, AUTHORITY = "mlflow-exposed", "/etc/mlflow-proxy/ca.pem"
#: Replaces the certificate as an ACME client does, beside a running nginx.
SIGN = """
cd /etc/mlflow-proxy && openssl req -new -key proxy.key -subj /CN=ml.lab.test -out /tmp/new.csr &&
echo subjectAltName=DNS:ml.lab.test >/tmp/names &&
openssl x509 -req -in /tmp/new.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {} -extfile /tmp/names -out new.pem &&
mv new.pem proxy.pem
"""
SHOW = "openssl s_client -connect 127.0.0.1:443 -servername ml.lab.test </dev/null 2>/dev/null | openssl x509 -noout"


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
def certificate(site: Host) -> Callable[[str], str]:
    """Ask OpenSSL about the certificate that nginx shows."""
    return lambda question: str(site.check_output(f"{SHOW} {question}"))


@pytest.fixture(scope="session")
def replace(site: Host, certificate: Callable[[str], str]) -> Callable[[int], None]:
    """Have the authority sign a certificate for so many days, and see nginx show it."""

    def sign(days: int) -> None:
        before = certificate("-serial")
        site.check_output(SIGN.format(days))
        deadline = time.monotonic() + 120
        while certificate("-serial") == before:
            assert time.monotonic() < deadline, site.check_output("journalctl -u mlflow-proxy-certificate --no-pager")
            time.sleep(1)

    return sign


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
