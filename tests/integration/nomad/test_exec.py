"""The role's job with the driver exec, under a real agent with TLS and a namespace, where a `nomad` is on PATH."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.integration.nomad.agent import ACCOUNT, PROGRAM, Agent
from tools import stage

PYTHON, RELEASE = "/usr/bin/python3", "3.17.2"
PLAY = """
- hosts: localhost
  gather_facts: false
  roles: [selfhosted.mlflow.mlflow_nomad]
"""


def install() -> None:
    """Have the release below PROGRAM, once for all runs, by the system's Python: the task sees no other."""
    if (PROGRAM / "current").exists():
        return
    numbers = "import sys; print('{}.{}'.format(*sys.version_info))"
    version = subprocess.run([PYTHON, "-c", numbers], check=True, capture_output=True, text=True).stdout.strip()
    lock = stage.REPOSITORY / f"roles/mlflow_server/files/locks/mlflow-{RELEASE}-py{version}.txt"
    if not lock.exists():
        pytest.skip(f"SKIPPED: {PYTHON} is {version}, for which there is no {lock.name}")
    uv = str(Path(sys.executable).with_name("uv"))
    # Its final place: the programs' first lines have its path.
    new = PROGRAM / "current"
    try:
        subprocess.run([uv, "venv", "--quiet", "--python", PYTHON, str(new)], check=True)
        target = ["--python", str(new / "bin/python"), "--link-mode", "copy", "--compile-bytecode"]
        subprocess.run([uv, "pip", "install", "--quiet", *target, "--requirements", str(lock)], check=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(new, ignore_errors=True)
        raise


def play(directory: Path, inputs: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Apply the role on this machine."""
    (directory / "play.yml").write_text(PLAY)
    program = Path(sys.executable).with_name("ansible-playbook")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return subprocess.run(
        [str(program), "--extra-vars", json.dumps({**local, **inputs}), str(directory / "play.yml")],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        cwd=stage.REPOSITORY,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(stage.LINKED), "ANSIBLE_NOCOLOR": "1"},
    )


def test_the_server_runs_as_the_account_without_capabilities(agent: Agent, tmp_path: Path) -> None:
    install()
    account, access = pwd.getpwnam(ACCOUNT), agent.access
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    inputs = {
        "mlflow_nomad_address": access.address,
        "mlflow_nomad_token": access.token,
        "mlflow_nomad_ca_bundle": access.ca_bundle,
        "mlflow_nomad_client_cert": access.client_cert,
        "mlflow_nomad_client_key": access.client_key,
        "mlflow_nomad_tls_server_name": access.tls_server_name,
        "mlflow_nomad_namespace": "ml",
        # The agent has them from its start.
        "mlflow_nomad_has_volumes": False,
        "mlflow_nomad_driver": "exec",
        "mlflow_nomad_user": ACCOUNT,
        "mlflow_nomad_uid": account.pw_uid,
        "mlflow_nomad_gid": account.pw_gid,
        "mlflow_nomad_artifact_access": "proxied",
        "mlflow_nomad_artifact_root": str(agent.directory / "artifacts"),
        "mlflow_nomad_data_directory": str(agent.directory / "backend"),
        "mlflow_nomad_backend_store_uri": f"sqlite:///{agent.directory}/backend/mlflow.db",
        "mlflow_nomad_install_root": str(PROGRAM),
        "mlflow_nomad_port": port,
        "mlflow_nomad_wait": 240,
    }

    first = play(tmp_path, inputs)
    assert first.returncode == 0, first.stdout
    again = play(tmp_path, inputs)
    assert "changed=0" in again.stdout, again.stdout

    (service,) = agent.api.get("/v1/service/mlflow", {"namespace": "ml"})
    with urllib.request.urlopen(f"http://{service['Address']}:{port}/health", timeout=30) as answer:
        assert answer.read() == b"OK"
    (process,) = subprocess.run(
        ["pgrep", "--oldest", "--uid", ACCOUNT, "--full", f"{PROGRAM}/current"], check=True, capture_output=True
    ).stdout.split()
    status = Path(f"/proc/{process.decode()}/status").read_text()
    assert f"Uid:\t{account.pw_uid}\t{account.pw_uid}" in status
    assert "CapEff:\t0000000000000000" in status
    assert (agent.directory / "backend/mlflow.db").stat().st_uid == account.pw_uid
    gone = play(tmp_path, {**inputs, "mlflow_nomad_state": "absent", "mlflow_nomad_purge": True})
    assert gone.returncode == 0, gone.stdout
