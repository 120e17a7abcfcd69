"""The proof at the end of site.yml, repeated by verify.yml: it passes, it fails where it must, it leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = "/mnt/mlflow"
VERIFY = Path(__file__).parents[4] / "playbooks/verify.yml"
CLIENTS = 20

Verify = Callable[..., "Verified"]


class Verified:
    """What a run of verify.yml said, and its report."""

    def __init__(self, run: subprocess.CompletedProcess[str], report: dict[str, Any], seconds: float) -> None:
        self.code, self.output, self.seconds = run.returncode, run.stdout, seconds
        self.rows: list[dict[str, Any]] = report["rows"]

    def verdicts(self) -> dict[tuple[str, str], str]:
        return {(row["host"], row["user"]): row["verdict"] for row in self.rows if not row["server"]}

    def classes(self, host: str) -> set[str]:
        findings = [finding for row in self.rows if row["host"] == host for finding in row["findings"]]
        return {finding["class"] for finding in findings}


@pytest.fixture
def verify(tmp_path: Path) -> Verify:
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    report = tmp_path / "report.json"
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}

    def run(*arguments: str) -> Verified:
        began = time.monotonic()
        done = subprocess.run(
            [
                *("ansible-playbook", "--inventory", str(inventory), *arguments, str(VERIFY)),
                *("--extra-vars", f"mlflow_artifact_check_report={report}"),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            env=environment,
        )
        assert report.exists(), done.stdout
        return Verified(done, json.loads(report.read_text()), time.monotonic() - began)

    return run


def leftovers(server: Host) -> str:
    found: str = server.check_output(f"cd / && runuser -u mlflow -- find {ROOT} -maxdepth 1 -name '.mlflow-probe-*'")
    return found


def test_every_user_of_every_client_is_proved_and_nothing_is_left(verify: Verify, server: Host) -> None:
    verified = verify()

    assert verified.code == 0, verified.output
    assert verified.verdicts() == {
        (host, user): "proved" for host in ("client12", "client13") for user in ("alice", "bob")
    }
    assert "changed=1" not in verified.output
    assert leftovers(server) == ""


@pytest.fixture
def unmounted(inventory: AnsibleRunner) -> Iterator[Host]:
    client = inventory.get_host("client12")
    client.check_output("systemctl stop mnt-mlflow.mount")
    yield client
    client.check_output("systemctl start mnt-mlflow.mount")


def test_a_wrong_client_fails_alone_and_its_remedy_mends_it(verify: Verify, server: Host, unmounted: Host) -> None:
    wrong = verify()

    assert wrong.code == 2, wrong.output
    assert wrong.verdicts()["client12", "alice"] == "failed"
    assert wrong.verdicts()["client13", "alice"] == "proved"
    assert wrong.classes("client12") == {"not_mounted"}
    assert leftovers(server) == ""
    (remedy,) = {finding["remedy"] for row in wrong.rows if row["host"] == "client12" for finding in row["findings"]}
    assert f"-> {remedy[:40]}" in wrong.output
    unmounted.check_output(remedy.split("`")[1])
    assert verify("--limit", "client12").code == 0


def test_check_mode_writes_nothing_and_says_so(verify: Verify) -> None:
    looked = verify("--check")

    assert looked.code == 0, looked.output
    assert looked.classes("client12") == {"not_proved"}
    assert set(looked.verdicts().values()) == {"warning"}


@pytest.fixture
def many(tmp_path: Path, inventory: AnsibleRunner) -> Path:
    """An inventory with more names for client13, beside the lab's own."""
    known = inventory.get_variables("client13")
    connection = {
        name: value for name, value in known.items() if name.startswith("ansible_") and isinstance(value, str)
    }
    hosts = {f"many{number}": connection for number in range(CLIENTS)}
    path = tmp_path / "many.json"
    path.write_text(json.dumps({"mlflow_clients": {"hosts": hosts}}))
    return path


@pytest.mark.long
def test_a_silent_nas_is_told_for_twenty_clients_in_time(verify: Verify, many: Path, inventory: AnsibleRunner) -> None:
    nas = inventory.get_host("nas")
    timeout = 20
    inputs = {
        "mlflow_artifact_check_timeout": timeout,
        "mlflow_artifact_check_stored_locations": False,
        "mlflow_users": ["alice"],
    }
    # The names share one connection for each client, which takes ten sessions at a time.
    options = ("--inventory", str(many), "--limit", "many*", "--forks", "10", "--extra-vars", json.dumps(inputs))
    healthy = verify(*options)
    nas.check_output("systemctl stop nfs-server.service")
    try:
        silent = verify(*options)
    finally:
        nas.check_output("systemctl start nfs-server.service")

    assert healthy.code == 0, healthy.output
    assert silent.code == 2, silent.output
    assert {row["host"] for row in silent.rows} == {f"many{number}" for number in range(CLIENTS)} | {"server"}
    assert all(silent.classes(row["host"]) == {"server_silent"} for row in silent.rows), silent.output
    # Two processors carry all these hosts: what the same check takes of them is not the silence's.
    assert silent.seconds < healthy.seconds + timeout + 10
