"""What the tests of all scenarios share: the hosts, the server's address, the run that was logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

RunSite = Callable[..., subprocess.CompletedProcess[str]]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def inventory() -> AnsibleRunner:
    # Not the file: beside it stands what the lab says of its hosts.
    return AnsibleRunner(str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


@pytest.fixture(scope="session")
def run_site() -> RunSite:
    """Run playbooks/site.yml on the scenario's hosts, and return it with all that it said in ``stdout``."""
    site = Path(__file__).parents[1] / "playbooks/site.yml"
    command = ["ansible-playbook", "--inventory", str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent), str(site)]
    # Molecule lets Ansible colour its output, and say on stderr what failed.
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def server(inventory: AnsibleRunner) -> Host:
    (name,) = inventory.get_hosts("mlflow_server")
    return inventory.get_host(name)


@pytest.fixture(scope="session")
def server_address(server: Host) -> str:
    """An address at which this machine reaches the server."""
    (address,) = (found for found in server.interface("eth0").addresses if ":" not in found)
    return str(address)


@pytest.fixture(scope="session")
def url(inventory: AnsibleRunner, server_address: str) -> str:
    """The server's address as this machine reaches it."""
    (name,) = inventory.get_hosts("mlflow_server")
    given = inventory.get_variables(name)
    return f"http://{server_address}:{given.get('lab_port', 5000)}{given.get('lab_prefix', '')}"


@pytest.fixture(scope="session")
def logged() -> dict[str, Any]:
    """The run that a user logged before the server was rebooted."""
    kept = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "logged.json"
    run: dict[str, Any] = json.loads(kept.read_text())
    return run
