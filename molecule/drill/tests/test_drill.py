"""A server with runs is lost, and a fresh one has them again.  The tests go on where the one before ended."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import record
from lab.outcomes import prove_run

OLD, NEW = "mlflow-drill-old", "mlflow-drill-new"
BACKUPS = "/mnt/backups/mlflow"
ROOT = "/srv/mlflow/artifacts"
RESTORE = Path(__file__).parents[3] / "playbooks/restore.yml"


@pytest.fixture(scope="module")
def old(inventory: AnsibleRunner) -> Host:
    return inventory.get_host(OLD)


@pytest.fixture(scope="module")
def new(inventory: AnsibleRunner) -> Host:
    return inventory.get_host(NEW)


def restore(host: str, **given: Any) -> subprocess.CompletedProcess[str]:
    """Run playbooks/restore.yml on one of the hosts."""
    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    extra = json.dumps(given)
    return subprocess.run(
        ["ansible-playbook", "--inventory", inventory, "--limit", host, "--extra-vars", extra, str(RESTORE)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"},
    )


def back_up(host: Host) -> str:
    """Run the timer's service, and return the name of the backup."""
    host.check_output("systemctl start mlflow-backup.service")
    return str(host.check_output(f"ls {BACKUPS} | grep Z$ | tail -1"))


def counts(host: Host) -> dict[str, int]:
    """Return the rows by table of a server's database."""
    status = "/opt/mlflow/libexec/mlflow-database --environment /etc/mlflow/server.env status"
    told = json.loads(host.check_output(f"runuser -u mlflow -- /opt/mlflow/current/bin/python -I {status}"))
    found: dict[str, int] = told["stores"]["tracking"]["counts"]
    return found


def prove(logged: dict[str, Any], host: Host) -> None:
    (address,) = (found for found in host.interface("eth0").addresses if ":" not in found)
    authority = str(host.file("/etc/ssl/lab.pem").content_string)
    prove_run(
        logged,
        f"https://{address}:5000",
        ROOT,
        lambda argv: str(host.check_output(shlex.join(argv))),
        authority=authority,
    )


@pytest.fixture(scope="module")
def good(old: Host) -> str:
    return back_up(old)


def test_check_mode_predicted_every_change() -> None:
    """But for the directory that both hosts see: it is made by whichever comes first."""
    made = "mlflow_backup : Install | Have a directory for the backups': predicted to change, didn't"
    assert record.told_wrongly(Path(os.environ["LAB_RECORD_DIR"]), made) == []


def test_nobody_is_answered_without_tls(old: Host) -> None:
    assert old.run("curl --silent http://localhost:5000/health").rc != 0
    assert old.check_output("curl --silent --cacert /etc/ssl/lab.pem https://localhost:5000/health") == "OK"


def test_the_timer_s_service_makes_a_verified_backup(old: Host, good: str) -> None:
    record = json.loads(old.check_output(f"cat {BACKUPS}/{good}/backup.json"))
    metrics = old.check_output("cat /srv/metrics/mlflow_backup.prom")

    assert record["stores"]["tracking"]["counts"]["runs"] == 1
    assert record["artifacts"]["files"] == 4
    assert set(record["verified"]) == {"tracking"}
    assert "mlflow_backup_last_run_success 1\n" in metrics
    assert 'mlflow_backup_items{kind="runs"} 1\n' in metrics
    assert old.service("mlflow-backup.timer").is_enabled
    assert f"backup {good}: 2 experiments, 1 runs, 4 artifact files" in old.check_output("journalctl -u mlflow-backup")


def test_a_backup_holds_no_address_of_a_database(old: Host, good: str) -> None:
    kept = old.check_output(f"cat {BACKUPS}/{good}/configuration/server.env")

    assert "MLFLOW_BACKEND_STORE_URI=(left out)" in kept
    assert 'MLFLOW_PORT="5000"' in kept


def test_unchanged_artifacts_take_no_space_again(old: Host, good: str) -> None:
    time.sleep(1)
    again = back_up(old)
    inodes = {
        name: old.check_output(f"find {BACKUPS}/{name}/artifacts -name weights.bin -printf %i")
        for name in (good, again)
    }

    assert again > good
    assert inodes[good] == inodes[again] != ""


def test_sandbox_is_tight(old: Host) -> None:
    report = old.check_output("systemd-analyze security --no-pager mlflow-backup.service")

    assert float(report.split("exposure level for mlflow-backup.service: ")[1].split()[0]) <= 1.8, report


def test_runs_are_not_overwritten_unasked(old: Host, logged: dict[str, Any], good: str) -> None:
    ran = restore(OLD)

    assert ran.returncode == 2, ran.stdout
    assert "found: the database holds 2 experiments, 1 runs" in ran.stdout
    assert "mlflow_restore_overwrite: true" in ran.stdout
    assert old.service("mlflow").is_running
    prove(logged, old)


def test_a_restore_when_told_keeps_what_was_there(old: Host, logged: dict[str, Any], good: str) -> None:
    before = counts(old)
    old.check_output(f"find {ROOT} -name weights.bin -exec dd if=/dev/zero of={{}} bs=1 count=9 conv=notrunc ';'")

    ran = restore(OLD, mlflow_restore_overwrite=True, mlflow_restore_backup=good)

    assert ran.returncode == 0, ran.stdout
    assert counts(old) == before
    prove(logged, old)
    kept = old.check_output(f"find {BACKUPS}/before-restore -name weights.bin -o -name manifest.json").splitlines()
    assert len(kept) == 2


def test_a_fresh_host_refuses_a_damaged_backup_and_names_a_good_one(old: Host, new: Host, good: str) -> None:
    time.sleep(1)
    newest = back_up(old)
    old.check_output(f"truncate --size=-1 {BACKUPS}/{newest}/database/tracking.sqlite")
    # From here on there is no old server.
    subprocess.run(["docker", "rm", "--force", OLD], check=True, stdout=subprocess.DEVNULL)

    ran = restore(NEW)

    assert ran.returncode == 2, ran.stdout
    assert f"the backup {newest} is damaged" in ran.stdout
    assert "set mlflow_restore_backup: " in ran.stdout
    assert counts(new)["runs"] == 0
    assert new.service("mlflow").is_running


def test_a_fresh_host_has_every_run_and_artifact(new: Host, logged: dict[str, Any], good: str) -> None:
    ran = restore(NEW, mlflow_restore_backup=good)

    assert ran.returncode == 0, ran.stdout
    assert f"The backup {good} of " in ran.stdout
    record = json.loads(new.check_output(f"cat {BACKUPS}/{good}/backup.json"))
    assert counts(new) == record["stores"]["tracking"]["counts"]
    prove(logged, new)
