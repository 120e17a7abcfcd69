"""The artifact path is proved over local connections, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.checked import classes, verdicts

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
# The modules then run as nobody; that account has no shell of its own.
AS_NOBODY = {
    "ansible_become": True,
    "ansible_become_method": "ansible.builtin.su",
    "ansible_become_user": "nobody",
    "ansible_become_flags": "-s /bin/sh",
}

Verify = Callable[[Sequence[str], dict[str, Any]], subprocess.CompletedProcess[str]]


@pytest.fixture
def root() -> Iterator[Path]:
    """An artifact root for everybody, outside of pytest's own directories, which are closed to others."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


@pytest.fixture
def verify(run_verify: Callable[..., subprocess.CompletedProcess[str]], root: Path, tmp_path: Path) -> Verify:
    def run(users: Sequence[str], connection: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        given = {
            "mlflow_artifact_root": str(root),
            "mlflow_service_user": "nobody",
            "mlflow_users": list(users),
            "mlflow_artifact_check_server_process": "",
            "mlflow_artifact_check_umask": "0000",
            "mlflow_artifact_check_stored_locations": False,
            "mlflow_artifact_check_report": str(tmp_path / "report.json"),
        }
        hosts = {
            "all": {"vars": {**LOCAL, **connection}},
            "mlflow_server": {"hosts": {"here": {}}},
            "mlflow_clients": {"hosts": {"one": {}, "two": {}}},
        }
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(json.dumps(hosts))
        return run_verify("--inventory", str(inventory), "--extra-vars", json.dumps(given))

    return run


def test_root_proves_for_all_users(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody", "daemon"], {})

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"{user} on {host}": "proved" for user in ("nobody", "daemon") for host in ("one", "two")
    }
    assert os.listdir(root) == []


def test_an_ordinary_user_proves_for_himself(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody"], AS_NOBODY)

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {"nobody on one": "proved", "nobody on two": "proved"}
    assert os.listdir(root) == []


def test_an_ordinary_user_cannot_prove_for_others(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody", "daemon"], AS_NOBODY)

    assert run.returncode == 2, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"{user} on {host}": verdict
        for user, verdict in (("nobody", "proved"), ("daemon", "failed"))
        for host in ("one", "two")
    }
    assert classes(tmp_path / "report.json", "error") == {"probe_failed"}
    assert "only root can act as daemon" in run.stdout
    assert os.listdir(root) == []
