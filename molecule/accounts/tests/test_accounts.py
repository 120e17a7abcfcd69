"""Who gets in, and where the secrets are after a whole run."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from urllib.parse import urlsplit

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import planted

# Not for what the tests run themselves: `ansible-inventory`, which testinfra asks, tells all inputs as they are.
LOG = Path(os.environ.pop("ANSIBLE_LOG_PATH"))
EXPERIMENT = "api/2.0/mlflow/experiments/get?experiment_id=0"
PYTHON = ("env", "MLFLOW_TRACKING_URI=http://localhost:5000", "/opt/mlflow/current/bin/python")


@pytest.fixture(scope="module")
def given(inventory: AnsibleRunner) -> dict[str, str]:
    """The passwords by name."""
    variables = inventory.get_variables("mlflow-accounts")
    people = {user["name"]: user["password"] for user in variables["mlflow_accounts_users"]}
    return {"admin": variables["mlflow_admin_password"], **people}


def may_look(url: str, name: str, password: str) -> int:
    address = urlsplit(url)
    headers = {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"} if name else {}
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request("GET", f"/{EXPERIMENT}", headers=headers)
        with connection.getresponse() as response:
            return response.status


def test_only_accounts_get_in_and_see_what_they_may(url: str, given: dict[str, str]) -> None:
    known = {name: may_look(url, name, password) for name, password in given.items()}
    strangers = [may_look(url, *one) for one in (("", ""), ("admin", "password1234"), ("alice", given["bob"]))]

    assert known == {"admin": 200, "alice": 200, "bob": 403}
    assert strangers == [401, 401, 401]


def as_alice(server: Host, script: str, *arguments: str) -> dict[str, Any]:
    """Run one of the scenarios' scripts as a user, and return the JSON that it prints at its end."""
    command = shlex.join([*PYTHON, "-", *arguments])
    text = (Path(__file__).parents[2] / script).read_text()
    printed = server.check_output(
        f"cat <<'SCRIPT' | runuser --login alice --command {shlex.quote(command)}\n{text}\nSCRIPT"
    )
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return told


def test_a_user_logs_with_the_credentials_of_her_home(server: Host) -> None:
    assert as_alice(server, "shared/log_run.py", "accounts", "1")["artifact_uri"].startswith("mlflow-artifacts:/")


def test_a_job_runs_in_the_sandbox(server: Host) -> None:
    """Submitted by a user, run in a process of its own, with its result in the database."""
    told = as_alice(server, "accounts/judge_trace.py")

    assert (told["status"], told["judged"]) == ("SUCCEEDED", {"polite": "yes"}), told


def test_a_real_run_of_each_client_is_proved(run_verify: Callable[..., CompletedProcess[str]]) -> None:
    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    ran = run_verify("--inventory", inventory, "--extra-vars", '{"mlflow_artifact_check_end_to_end": true}')

    assert ran.returncode == 0, ran.stdout[-3000:]
    assert planted.MARK not in ran.stdout


def test_sandbox_is_tight(server: Host) -> None:
    report = server.check_output("systemd-analyze security --no-pager mlflow.service")
    level = re.search(r"exposure level for mlflow.service: ([\d.]+)", report)

    assert level is not None, report
    assert float(level[1]) <= 1.5, report


def test_accounts_are_for_the_service_alone(server: Host) -> None:
    file = server.file("/var/lib/mlflow/backend/accounts.db")

    assert (file.user, file.group, file.mode) == ("mlflow", "mlflow", 0o640)


# Last, when all of the above has been run as well.
def test_no_secret_is_in_what_ansible_said_or_kept() -> None:
    assert planted.in_files(planted.of_controller(LOG)) == []


def test_no_secret_is_in_the_journal(server: Host) -> None:
    assert planted.in_journal(server) == []


def test_no_secret_was_among_arguments(server: Host) -> None:
    assert planted.in_arguments(server) == []


def test_secrets_are_in_the_files_that_are_for_them(server: Host) -> None:
    """Others' passwords are hashes in the accounts' database."""
    assert planted.on_disk(server) == {
        "/etc/mlflow/basic_auth.env": "600 root:root",
        "/etc/mlflow/basic_auth.ini": "640 root:mlflow",
        "/etc/mlflow/server.env": "640 root:mlflow",
        "/home/alice/.mlflow/credentials": "600 alice:alice",
        "/home/bob/.mlflow/credentials": "600 bob:bob",
    }
