"""What is logged is in the database that was wished; what is wrong with one is told before the server is restarted."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_playbook
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import record, tracking

SITE = Callable[..., subprocess.CompletedProcess[str]]
BY_SOCKET, BY_TLS, DATABASE = "mlflow-database-one", "mlflow-database-two", "mlflow-database-three"
PIECE = "p%40s@"


@pytest.fixture
def host(inventory: AnsibleRunner) -> Callable[[str], Host]:
    def get(name: str) -> Host:
        return inventory.get_host(name)

    return get


def log_run(server: Host) -> str:
    """Log a run by MLflow's client, and return its id when the server's API tells all of it."""
    script = (Path(__file__).parents[2] / "shared/log_run.py").read_text()
    python = "env MLFLOW_TRACKING_URI=http://localhost:5000 /opt/mlflow/current/bin/python"
    printed = server.check_output(f"cat <<'SCRIPT' | {python} - databases 1\n{script}\nSCRIPT")
    logged = json.loads(printed.splitlines()[-1])
    (address,) = (found for found in server.interface("eth0").addresses if ":" not in found)
    run = tracking.get_run(f"http://{address}:5000", logged["run_id"])
    assert (run.params, run.metrics) == (logged["params"], logged["metrics"])
    return run.run_id


def runs(server: Host) -> set[str]:
    """Return the runs that the server's API knows."""
    (address,) = (found for found in server.interface("eth0").addresses if ":" not in found)
    api = f"http://{address}:5000/api/2.0/mlflow"
    body = '{"experiment_ids": ["0", "1"], "max_results": 1000}'
    told = server.check_output(f"curl -sf {api}/runs/search -H 'Content-Type: application/json' -d '{body}'")
    return {run["info"]["run_id"] for run in json.loads(told).get("runs", [])}


def psql(server: Host, statement: str) -> str:
    return str(server.check_output(f"runuser -u postgres -- psql -XAtq mlflow -c {shlex.quote(statement)}"))


def test_check_mode_predicted_every_change() -> None:
    """But for packages that another role has installed by then: rsync with MariaDB, a database's client for the server."""
    installed = "mlflow_backup : Install | Have the programs that copy': predicted to change, didn't"
    assert record.told_wrongly(Path(os.environ["LAB_RECORD_DIR"]), installed) == []


def test_a_run_is_kept_in_mariadb(host: Callable[[str], Host]) -> None:
    run_id = log_run(host(BY_SOCKET))
    # Root is let in by the socket, as everywhere on Debian.
    assert run_id in host(BY_SOCKET).check_output("mariadb -N -B mlflow -e 'SELECT run_uuid FROM runs'").split()


def test_a_run_is_kept_in_postgresql(host: Callable[[str], Host]) -> None:
    run_id = log_run(host(BY_TLS))
    assert run_id in psql(host(DATABASE), "SELECT run_uuid FROM runs").split()


def test_the_connections_are_encrypted(host: Callable[[str], Host]) -> None:
    log_run(host(BY_TLS))
    found = psql(
        host(DATABASE),
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'mlflow'",
    )
    assert found == "t"


def test_nobody_else_may_enter(host: Callable[[str], Host]) -> None:
    three = host(DATABASE)
    assert (
        psql(
            three,
            "SELECT pg_get_userbyid(datdba), has_database_privilege('public', 'mlflow', 'CONNECT') FROM pg_database WHERE datname = 'mlflow'",
        )
        == "mlflow|f"
    )
    assert psql(three, "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'mlflow'") == "f|f|f"
    assert psql(three, "SELECT substr(rolpassword, 1, 14) FROM pg_authid WHERE rolname = 'mlflow'") == "SCRAM-SHA-256$"
    lines = psql(
        three,
        "SELECT type, database, user_name, auth_method FROM pg_hba_file_rules WHERE user_name = '{mlflow}' ORDER BY 1",
    )
    assert lines == "hostssl|{mlflow}|{mlflow}|scram-sha-256\nlocal|{mlflow}|{mlflow}|scram-sha-256"


def test_the_server_of_a_socket_listens_to_nobody(host: Callable[[str], Host]) -> None:
    listening = host(BY_SOCKET).check_output("ss -Hltn 'sport = 3306'")
    assert "127.0.0.1:3306" in listening
    assert len(listening.splitlines()) == 1


def test_systemd_reads_the_address_that_was_meant(host: Callable[[str], Host]) -> None:
    two = host(BY_TLS)
    environment = two.check_output("tr '\\0' '\\n' < /proc/$(systemctl show mlflow --property=MainPID --value)/environ")
    (address,) = (line for line in environment.splitlines() if line.startswith("MLFLOW_BACKEND_STORE_URI="))
    assert address == (
        "MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://mlflow:p%2540s%40%2F%3A%3F%23%26%2B%20%5C%22%27%24%60%7B%7D"
        "@three.lab.test/mlflow?sslmode=verify-full&sslrootcert=/etc/ssl/lab/ca.pem"
    )
    assert "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE=5" in environment.splitlines()


def refused(run_site: SITE, host: Callable[[str], Host], text: str, **given: Any) -> None:
    """Run site.yml for the server; it must say the text, keep the password, and leave the server as it is."""
    before = host(BY_TLS).check_output(
        "systemctl show mlflow --property=MainPID --value; sha256sum /etc/mlflow/server.env"
    )
    ran = run_site("--limit", BY_TLS, "--extra-vars", json.dumps(given))
    assert ran.returncode == 2, ran.stdout
    assert text in ran.stdout
    assert "before the server was restarted" in ran.stdout
    assert PIECE not in ran.stdout
    assert "wr0ng-secret" not in ran.stdout
    after = host(BY_TLS).check_output(
        "systemctl show mlflow --property=MainPID --value; sha256sum /etc/mlflow/server.env"
    )
    assert after == before


def test_a_wrong_password_is_told(run_site: SITE, host: Callable[[str], Host]) -> None:
    database = {"host": "three.lab.test", "password": "wr0ng-secret", "tls_ca": "/etc/ssl/lab/ca.pem"}
    refused(run_site, host, "the database does not take this user with this password", mlflow_server_database=database)


def test_too_many_connections_are_told(run_site: SITE, host: Callable[[str], Host]) -> None:
    text = "lets in 117 connections by max_connections (3 of 120 are kept for administrators), and MLflow may open 130"
    refused(run_site, host, text, mlflow_server_pool_overflow=60)


def test_a_database_that_is_down_is_told(run_site: SITE, host: Callable[[str], Host]) -> None:
    three = host(DATABASE)
    three.check_output("systemctl stop postgresql@15-main")
    try:
        refused(run_site, host, "nothing answers there")
    finally:
        three.check_output("systemctl start postgresql@15-main")
    # The server itself has not been touched, and finds its database again.
    log_run(host(BY_TLS))


def test_anothers_database_is_refused(run_site: SITE, host: Callable[[str], Host]) -> None:
    ran = run_site("--limit", DATABASE, "--extra-vars", json.dumps({"mlflow_database_user": "somebody"}))
    assert ran.returncode == 2, ran.stdout
    assert "the database mlflow is there and belongs to mlflow" in ran.stdout
    assert psql(host(DATABASE), "SELECT count(*) FROM pg_roles WHERE rolname = 'somebody'") == "0"


@pytest.mark.parametrize("name", [BY_SOCKET, BY_TLS])
def test_backed_up_and_restored(host: Callable[[str], Host], name: str) -> None:
    """By the service of the timer that site.yml has set up, and by restore.yml."""
    server = host(name)
    kept = log_run(server)
    server.check_output("systemctl start mlflow-backup.service")
    assert server.service("mlflow-backup.timer").is_enabled
    (backup,) = server.check_output("ls /srv/backups | grep Z$").splitlines()
    record = json.loads(server.file(f"/srv/backups/{backup}/backup.json").content_string)
    assert set(record["verified"]) == {"tracking"}
    later = log_run(server)
    assert {kept, later} <= runs(server)

    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    given = {"mlflow_restore_overwrite": True}
    ran = run_playbook("restore.yml", "--inventory", inventory, "--limit", name, "--extra-vars", json.dumps(given))

    assert ran.returncode == 0, ran.stdout
    assert f"The backup {backup} of " in ran.stdout
    assert PIECE not in ran.stdout
    assert kept in runs(server)
    assert later not in runs(server)
    # What was there before the restore is kept.
    assert server.check_output("find /srv/backups/before-restore -name manifest.json")
    assert PIECE not in server.check_output("journalctl --unit mlflow-backup.service --output cat --no-pager")
