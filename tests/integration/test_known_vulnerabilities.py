"""Each role that deploys MLflow refuses a release with known holes before it does anything else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ACCEPTED = ["CVE-2026-2614", "GHSA-q2r8-vmq7-fpx2", "CVE-2026-2651", "CVE-2025-14279"]
REFUSED = "MLflow 3.1.4 is to be deployed, which is known to be vulnerable"
# A role, and the release as it is told.
ROLES: list[tuple[str, dict[str, Any]]] = [
    ("mlflow_server", {"mlflow_version": "3.1.4"}),
    ("mlflow_image", {"mlflow_version": "3.1.4"}),
    ("mlflow_nomad", {"mlflow_nomad_image": "registry.example.org:5000/mlflow:3.1.4-0123456789ab"}),
]


def run(directory: Path, role: str, variables: dict[str, Any]) -> str:
    """Run a role's preflight in check mode on this machine and return all it said."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": {"name": f"selfhosted.mlflow.{role}", "tasks_from": "preflight"}}],
        "vars": {"ansible_python_interpreter": sys.executable, **variables},
    }
    playbook = directory / "play.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", "localhost,", "--check", str(playbook)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.stdout + ended.stderr


@pytest.mark.parametrize(("role", "variables"), ROLES)
def test_refuses_it(tmp_path: Path, role: str, variables: dict[str, Any]) -> None:
    said = run(tmp_path, role, variables)
    assert REFUSED in said
    assert f"{role}_accepted_vulnerabilities: [CVE-2026-2651, CVE-2026-2614, CVE-2026-2033, CVE-2025-14279]" in said


@pytest.mark.parametrize(("role", "variables"), ROLES)
def test_takes_what_is_accepted(tmp_path: Path, role: str, variables: dict[str, Any]) -> None:
    """What is wrong besides, for this machine is no host, is told by later tasks."""
    said = run(tmp_path, role, {**variables, "mlflow_accepted_vulnerabilities": ACCEPTED})
    assert "TASK" in said
    assert REFUSED not in said


def test_an_image_without_a_release_in_its_tag_is_not_judged(tmp_path: Path) -> None:
    said = run(tmp_path, "mlflow_nomad", {"mlflow_nomad_image": "registry.example.org:5000/mlflow"})
    assert "TASK" in said
    assert "known to be vulnerable" not in said


def test_the_clients_library_is_warned_of(tmp_path: Path) -> None:
    variables = {
        "mlflow_client_tracking_uri": "http://localhost:5000",
        "mlflow_client_users": [],
        "mlflow_client_library": True,
        "mlflow_client_version": "3.1.4",
    }
    warned = " ".join(run(tmp_path, "mlflow_client", variables).split())
    assert "[WARNING]: found: MLflow 3.1.4 is to be deployed, which is known to be vulnerable" in warned
    assert "failed=0" in warned
    accepted = run(tmp_path, "mlflow_client", {**variables, "mlflow_accepted_vulnerabilities": ["CVE-2026-4137"]})
    assert "known to be vulnerable" not in accepted
