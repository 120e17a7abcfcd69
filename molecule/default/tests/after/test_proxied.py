"""What users want of one host: runs and their artifacts arrive through the server, and outlive its reboot."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from testinfra.host import Host

from lab.outcomes import prove_run

ROOT = "/srv/mlflow/artifacts"
PYTHON = "env MLFLOW_TRACKING_URI=http://localhost:5000 /opt/mlflow/current/bin/python"


def prove(logged: dict[str, Any], server: Host, url: str) -> None:
    prove_run(logged, url, ROOT, lambda argv: str(server.check_output(shlex.join(argv))))


def test_run_logged_before_the_reboot_is_still_whole(logged: dict[str, Any], server: Host, url: str) -> None:
    assert logged["artifact_uri"].startswith("mlflow-artifacts:/")
    prove(logged, server, url)


def test_new_run_arrives(server: Host, url: str) -> None:
    script = (Path(__file__).parents[3] / "shared/log_run.py").read_text()
    argv = f"runuser --login alice --command {shlex.quote(PYTHON + ' - after 1')}"
    printed = server.check_output(f"cat <<'SCRIPT' | {argv}\n{script}\nSCRIPT")

    prove(json.loads(printed.splitlines()[-1]), server, url)


def test_users_cannot_bypass_the_server(server: Host) -> None:
    assert "Permission denied" in server.run(f"runuser -u alice -- ls {ROOT}").stderr


def test_database_is_in_wal_mode(server: Host) -> None:
    """By the file's header (SQLite's "Database File Format", 1.3.3), and by the log beside it."""
    file = "/var/lib/mlflow/backend/mlflow.db"
    assert server.check_output(f"od -An -t x1 -j 18 -N 2 {file}").split() == ["02", "02"]
    assert server.file(f"{file}-wal").user == "mlflow"
