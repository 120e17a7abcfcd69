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

from tools import long_tests

RunPlaybook = Callable[..., subprocess.CompletedProcess[str]]

sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes long, unless all is run or this scenario was chosen."""
    if not os.environ.get("MLFLOW_TEST_LONG"):
        long_tests.leave_out(items)


@pytest.fixture(scope="session")
def inventory() -> AnsibleRunner:
    # Not the file: beside it stands what the lab says of its hosts.
    return AnsibleRunner(str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent))


def run_playbook(name: str, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run one of the collection's playbooks, and return it with all that it said in ``stdout``."""
    return subprocess.run(
        ["ansible-playbook", *arguments, str(Path(__file__).parents[1] / "playbooks" / name)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
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
def run_nomad() -> RunPlaybook:
    """Run playbooks/nomad.yml on the scenario's hosts, with inputs of one's own; an image may have to start first."""
    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)

    def run(**inputs: Any) -> subprocess.CompletedProcess[str]:
        given = ("--extra-vars", json.dumps(inputs))
        return run_playbook("nomad.yml", "--inventory", inventory, *given, seconds=900)

    return run


@pytest.fixture(scope="session")
def ask_nomad(inventory: AnsibleRunner) -> Callable[[str], Any]:
    """Ask Nomad's API on its first node, as its operator."""
    known = inventory.get_variables("node")
    node = inventory.get_host("node")

    def get(path: str) -> Any:
        header = f"X-Nomad-Token: {known['lab_nomad_operator']}"
        return json.loads(node.check_output(f"curl --silent --fail --header '{header}' 'http://127.0.0.1:4646{path}'"))

    return get


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
