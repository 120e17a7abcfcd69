"""What the tests of all scenarios share: the hosts, the server's address, the run that was logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

RunPlaybook = Callable[..., subprocess.CompletedProcess[str]]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def inventory() -> AnsibleRunner:
    # Not the file: beside it stands what the lab says of its hosts.
    return AnsibleRunner(str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


def run_playbook(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the collection's playbooks, and return it with all that it said in ``stdout``."""
    return subprocess.run(
        ["ansible-playbook", *arguments, str(Path(__file__).parents[1] / "playbooks" / name)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        # Molecule lets Ansible colour its output, and say on stderr what failed.
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
    )


@pytest.fixture(scope="session")
def run_site() -> RunPlaybook:
    """Run playbooks/site.yml on the scenario's hosts."""
    return partial(run_playbook, "site.yml", "--inventory", str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


@pytest.fixture(scope="session")
def run_verify() -> RunPlaybook:
    """Run playbooks/verify.yml; of which hosts, the arguments say."""
    return partial(run_playbook, "verify.yml")


@pytest.fixture(scope="session")
def run_image() -> RunPlaybook:
    """Run playbooks/image.yml on the scenario's hosts."""
    return partial(run_playbook, "image.yml", "--inventory", str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


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
