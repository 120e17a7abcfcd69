"""The artifact path is proved over local connections, as root and as an ordinary user."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.checked import classes, verdicts

HOSTS = ("one", "two", "three")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
# The modules then run as nobody; that account has no shell of its own.
AS_NOBODY = {
    "ansible_become": True,
    "ansible_become_method": "ansible.builtin.su",
    "ansible_become_user": "nobody",
    "ansible_become_flags": "-s /bin/sh",
}

Verify = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root() -> Iterator[Path]:
    """An artifact root for everybody, outside of pytest's own directories, which are closed to others."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


@pytest.fixture
def verify(run_verify: Callable[..., subprocess.CompletedProcess[str]], root: Path, tmp_path: Path) -> Verify:
    def run(users: Sequence[str], connection: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
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
            "mlflow_clients": {"hosts": {host: {} for host in HOSTS}},
        }
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(json.dumps(hosts))
        return run_verify("--inventory", str(inventory), "--extra-vars", json.dumps(given), *arguments)

    return run


def test_root_proves_for_all_users(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody", "daemon"], {})

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"{user} on {host}": "proved" for user in ("nobody", "daemon") for host in HOSTS
    }
    assert os.listdir(root) == []


def test_an_ordinary_user_proves_for_himself(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody"], AS_NOBODY)

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {f"nobody on {host}": "proved" for host in HOSTS}
    assert os.listdir(root) == []


def test_an_ordinary_user_cannot_prove_for_others(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody", "daemon"], AS_NOBODY)

    assert run.returncode == 2, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"{user} on {host}": verdict for user, verdict in (("nobody", "proved"), ("daemon", "failed")) for host in HOSTS
    }
    assert classes(tmp_path / "report.json", "error") == {"probe_failed"}
    assert "only root can act as daemon" in run.stdout
    assert os.listdir(root) == []


@pytest.mark.parametrize("strategy", ["free", "host_pinned"])
def test_each_host_may_go_its_own_pace(
    strategy: str, verify: Verify, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", strategy)

    run = verify(["nobody", "daemon"], {})

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        f"{user} on {host}": "proved" for user in ("nobody", "daemon") for host in HOSTS
    }
    # Each has asked the server for itself, so has the server.
    assert len(json.loads((tmp_path / "report.json").read_text())["runs"]) == len(HOSTS) + 1
    assert os.listdir(root) == []


def test_a_host_at_its_own_pace_fails_alone(
    verify: Verify, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSIBLE_STRATEGY", "free")
    elsewhere = tmp_path / "hosts_elsewhere.json"
    elsewhere.write_text(json.dumps({"mlflow_clients": {"hosts": {"two": {"mlflow_artifact_check_users": ["ghost"]}}}}))

    run = verify(["nobody"], {}, "--inventory", str(elsewhere))

    assert run.returncode == 2, run.stdout
    assert verdicts(tmp_path / "report.json") == {
        "nobody on one": "proved",
        "ghost on two": "failed",
        "nobody on three": "proved",
    }
    assert re.findall(r"^(\w+) +: .* failed=1", run.stdout, re.MULTILINE) == ["two"]
    assert os.listdir(root) == []


def test_a_limit_leaves_the_other_hosts_out(verify: Verify, root: Path, tmp_path: Path) -> None:
    run = verify(["nobody"], {}, "--limit", "two")

    assert run.returncode == 0, run.stdout
    assert verdicts(tmp_path / "report.json") == {"nobody on two": "proved"}
    assert os.listdir(root) == []
