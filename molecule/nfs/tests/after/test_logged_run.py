"""A run logged on a client, from end to end, and gone without a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = "/mnt/mlflow"
ADDRESS = "http://server:5000"
RUN = "0123456789abcdef"

Module = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def module() -> Module:
    """Run a module of the collection on a host, as root."""
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent

    def run(host: str, name: str, **inputs: Any) -> dict[str, Any]:
        target = testinfra.get_host(f"ansible://{host}?force_ansible=True&ansible_inventory={inventory}")
        arguments = json.dumps({"run": RUN, "tracking_uri": ADDRESS, **inputs})
        result: dict[str, Any] = target.ansible(f"selfhosted.mlflow.{name}", arguments, check=False, become=True)
        assert result["changed"] is False
        return result

    return run


def entries(server: Host) -> list[str]:
    return sorted(server.check_output(f"runuser -u mlflow -- ls -A {ROOT}").split())


def classes(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["user"], finding["class"]) for finding in result["findings"]]


@pytest.mark.parametrize("client", ["client13"])
def test_runs_arrive_and_go_without_a_trace(client: str, module: Module, server: Host) -> None:
    before = entries(server)

    logged = module(client, "logged_run_probe", users=["alice", "bob"])
    assert classes(logged) == [("alice", "run_proved"), ("bob", "run_proved")]
    assert len(entries(server)) == len(before) + 2

    removed = module("server", "logged_run_absent")
    assert removed["findings"] == []
    assert sorted(removed["removed"]) == sorted(run["experiment_id"] for run in logged["runs"])
    assert entries(server) == before
    assert module("server", "logged_run_absent")["removed"] == []


@pytest.fixture
def deceived(inventory: AnsibleRunner) -> Iterator[Host]:
    """A client with a directory of its own in the share's place."""
    client = inventory.get_host("client12")
    client.check_output("install -d -o root -g mlflow-users -m 2775 /srv/local")
    client.check_output(f"findmnt --types nfs4 {ROOT} && mount --bind /srv/local {ROOT}")
    yield client
    client.check_output(f"umount {ROOT} && rm -r /srv/local")


@pytest.mark.usefixtures("deceived")
def test_artifacts_that_stay_on_the_client_are_told(module: Module, deceived: Host, server: Host) -> None:
    before = entries(server)
    try:
        logged = module("client12", "logged_run_probe", users=["alice"], patience=3)
    finally:
        removed = module("server", "logged_run_absent")

    assert classes(logged) == [("alice", "run_not_listed")]
    assert deceived.check_output("find /srv/local -mindepth 1") == ""
    assert len(removed["removed"]) == 1
    assert entries(server) == before


def test_a_user_without_the_group_is_told(module: Module) -> None:
    try:
        logged = module("client12", "logged_run_probe", users=["nobody"])
    finally:
        module("server", "logged_run_absent")

    (finding,) = logged["findings"]
    assert finding["class"] == "run_failed"
    assert "Permission denied" in finding["message"]
    assert "mlflow_client_users" in finding["remedy"]
