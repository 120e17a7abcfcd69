"""What users want of a share: each one's runs arrive at the server, after its reboot too."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab.outcomes import prove_run, server_path
from lab.tracking import list_artifacts

ROOT = "/mnt/mlflow"
SCRIPT = Path(__file__).parents[3] / "shared/log_run.py"


def log_run(client: Host, user: str, experiment: str) -> dict[str, Any]:
    """Log a run as a user at a login shell would."""
    command = f"/opt/mlflow-client/current/bin/python - {experiment} 1"
    argv = f"runuser --login {user} --command {shlex.quote(command)}"
    printed = client.check_output(f"cat <<'SCRIPT' | {argv}\n{SCRIPT.read_text()}\nSCRIPT")
    run: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return run


@pytest.fixture(scope="module", params=["client12", "client13"])
def client(request: pytest.FixtureRequest, inventory: AnsibleRunner) -> Host:
    return inventory.get_host(request.param)


def prove(logged: dict[str, Any], server: Host, url: str) -> None:
    prove_run(logged, url, ROOT, lambda argv: str(server.check_output(shlex.join(argv))))


def test_run_logged_before_the_reboot_is_still_whole(logged: dict[str, Any], server: Host, url: str) -> None:
    prove(logged, server, url)


def test_run_arrives_from_each_client(client: Host, server: Host, url: str) -> None:
    logged = log_run(client, "alice", "alices")

    assert logged["artifact_uri"].startswith(f"{ROOT}/")
    prove(logged, server, url)


def test_colleague_logs_into_an_experiment_made_by_another(client: Host, server: Host, url: str) -> None:
    log_run(client, "alice", "shared")

    prove(log_run(client, "bob", "shared"), server, url)


def test_colleague_adds_a_file_to_a_run_made_with_umask_022(client: Host, url: str) -> None:
    run = log_run(client, "alice", "shared")
    script = f"import mlflow; mlflow.MlflowClient().log_text({run['run_id']!r}, 'seen', 'result/model/bobs.txt')"

    assert client.check_output("runuser --login alice --command umask") == "0022"
    client.check_output(
        f"runuser --login bob --command {shlex.quote('/opt/mlflow-client/current/bin/python -c ' + shlex.quote(script))}"
    )

    assert "result/model/bobs.txt" in list_artifacts(url, run["run_id"])


def test_service_can_remove_what_a_user_wrote(client: Host, server: Host) -> None:
    directory = server_path(ROOT, log_run(client, "alice", "removable")["artifact_uri"])

    server.check_output(f"runuser -u mlflow -- rm -r {directory}/result")

    assert not server.file(f"{directory}/result").exists


def test_outsider_can_neither_read_nor_write(client: Host) -> None:
    for command in (f"ls {ROOT}", f"touch {ROOT}/mine"):
        assert "Permission denied" in client.run(f"runuser -u nobody -- {command}").stderr


def test_nothing_can_be_written_while_the_share_is_away(client: Host) -> None:
    unit = client.check_output(f"systemd-escape --path --suffix=mount {ROOT}")
    client.check_output(f"systemctl stop {unit}")
    try:
        written = client.run(f"touch {ROOT}/lost")
    finally:
        client.check_output(f"systemctl start {unit}")

    assert "Operation not permitted" in written.stderr
    assert client.run(f"ls {ROOT}/lost").rc != 0
