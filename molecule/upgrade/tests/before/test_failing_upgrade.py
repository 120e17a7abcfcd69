"""Before the upgrade: what check mode says of it, and an upgrade whose new release does not start."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

from lab.outcomes import prove_run

RunSite = Callable[..., subprocess.CompletedProcess[str]]
DROP_IN = "/run/systemd/system/mlflow.service.d/fail.conf"
FAIL = """[Service]
ExecStartPre=/bin/sh -c 'case "$(readlink /opt/mlflow/current)" in *3.17.2*) echo no such luck; exit 1;; esac'
"""


def answers_as_before(server: Host, url: str, logged: dict[str, Any]) -> None:
    """The old release serves the user's run with all its files."""
    assert server.check_output("readlink /opt/mlflow/current").startswith("venvs/mlflow-3.1.4-")
    prove_run(
        logged, url, "/srv/mlflow/artifacts", lambda argv: str(server.check_output(shlex.join(argv))), user="mlflow"
    )


@pytest.fixture
def new_release_fails(server: Host) -> Iterator[None]:
    """The new release does not start on this host, for a reason that has nothing to do with Ansible."""
    server.check_output(f"mkdir -p $(dirname {DROP_IN}) && printf %s {shlex.quote(FAIL)} >{DROP_IN}")
    server.check_output("systemctl daemon-reload")
    yield
    server.check_output(f"rm {DROP_IN} && systemctl daemon-reload")


def test_check_mode_says_what_would_be_upgraded(
    run_site: RunSite, server: Host, url: str, logged: dict[str, Any]
) -> None:
    run = run_site("--check", "--diff")

    assert run.returncode == 0, run.stdout
    assert "-release: mlflow-3.1.4-" in run.stdout
    assert "+release: mlflow-3.17.2-" in run.stdout
    assert "-tracking schema: bda7b8c39065" in run.stdout
    answers_as_before(server, url, logged)


def test_a_release_that_does_not_start_is_taken_back(
    run_site: RunSite, server: Host, url: str, logged: dict[str, Any], new_release_fails: None
) -> None:
    # It builds the release, too.
    run = run_site(seconds=600)

    assert run.returncode == 2, run.stdout
    assert "The upgrade from MLflow 3.1.4 to 3.17.2 failed at the step 'start' and was taken back" in run.stdout
    assert "3.1.4 answers again, with the database as it was" in run.stdout
    answers_as_before(server, url, logged)
    (log,) = server.check_output("ls /var/backups/mlflow/upgrades/*.log").splitlines()
    assert log in run.stdout
    assert "no such luck" in server.file(log).content_string
    assert server.file(log).mode == 0o600
    # The database stays the service's own.
    assert server.file("/var/lib/mlflow/backend/mlflow.db").user == "mlflow"


def test_nothing_is_left_that_keeps_the_old_release_from_starting(server: Host, url: str) -> None:
    server.check_output("systemctl restart mlflow.service")
    assert server.service("mlflow").is_running
    assert not server.file("/opt/mlflow/upgrade.hold").exists


def test_while_an_upgrade_is_under_way_systemd_does_not_start_the_service(server: Host) -> None:
    server.check_output("systemctl stop mlflow.service && touch /opt/mlflow/upgrade.hold")
    try:
        assert server.run("systemctl start mlflow.service").rc != 0
        assert not server.service("mlflow").is_running
    finally:
        server.check_output("rm /opt/mlflow/upgrade.hold && systemctl start mlflow.service")
