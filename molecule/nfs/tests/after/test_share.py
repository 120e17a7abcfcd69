"""What the share itself makes of bad input and of a NAS that is silent."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

RunSite = Callable[..., subprocess.CompletedProcess[str]]


def test_sqlite_on_the_share_is_refused(run_site: RunSite) -> None:
    inputs = {"mlflow_server_backend_store_uri": "sqlite:////mnt/mlflow/mlflow.db"}

    run = run_site("--extra-vars", json.dumps(inputs))

    assert run.returncode == 2, run.stdout
    assert "/mnt/mlflow/mlflow.db" in run.stdout
    assert "PostgreSQL" in run.stdout
    assert "Nothing was changed on any host" in run.stdout
    assert "changed=1" not in run.stdout


def test_another_share_on_the_mount_point_is_refused(run_site: RunSite) -> None:
    run = run_site("--limit", "client12", "--extra-vars", json.dumps({"mlflow_nfs_share": "nas:/srv/other"}))

    assert run.returncode == 2, run.stdout
    assert "nas:/srv/mlflow" in run.stdout
    assert "nas:/srv/other" in run.stdout
    assert "changed=1" not in run.stdout


@pytest.fixture
def silent_nas(inventory: AnsibleRunner) -> Iterator[Host]:
    nas = inventory.get_host("nas")
    nas.check_output("systemctl stop nfs-server.service")
    yield nas
    nas.check_output("systemctl start nfs-server.service")


@pytest.mark.usefixtures("silent_nas")
def test_silent_nas_ends_the_play_with_what_to_check(run_site: RunSite) -> None:
    began = time.monotonic()

    run = run_site("--limit", "client12")

    assert run.returncode == 2, run.stdout
    assert "2049" in run.stdout
    assert "nfs-server" in run.stdout
    assert time.monotonic() - began < 180
