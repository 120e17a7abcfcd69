"""Roles used singly keep to what the foreign repository decided."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from testinfra.host import Host

from lab.outcomes import prove_run

ROOT = "/data/mlflow/artifacts"


def prove(logged: dict[str, Any], server: Host, url: str) -> None:
    prove_run(logged, url, ROOT, lambda argv: str(server.check_output(shlex.join(argv))), user="svc-ml")


def test_run_logged_before_the_reboot_is_still_whole(logged: dict[str, Any], server: Host, url: str) -> None:
    assert logged["artifact_uri"].startswith("mlflow-artifacts:/")
    prove(logged, server, url)


def test_new_run_arrives(server: Host, url: str) -> None:
    script = (Path(__file__).parents[3] / "shared/log_run.py").read_text()
    argv = "runuser --login alice --command '/data/mlflow/app/current/bin/python - after 1'"
    printed = server.check_output(f"cat <<'SCRIPT' | {argv}\n{script}\nSCRIPT")

    prove(json.loads(printed.splitlines()[-1]), server, url)


def test_nothing_of_ours_is_outside_its_directories(server: Host) -> None:
    for path in ("/opt/mlflow", "/etc/mlflow", "/var/lib/mlflow", "/srv/mlflow"):
        assert not server.file(path).exists
    assert not server.user("mlflow").exists


def test_the_user_is_in_the_group(server: Host) -> None:
    assert "ml-people" in server.user("alice").groups
    assert server.group("ml-people").gid == 3100


def test_the_environment_reaches_login_shells(server: Host) -> None:
    printed = server.check_output("runuser --login alice --command 'env'")

    assert "MLFLOW_TRACKING_URI=http://bare:8080/ml" in printed
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT=60" in printed


def test_the_planted_secret_is_only_in_the_environment_file(server: Host) -> None:
    # The brackets keep grep from finding its own argument.
    found = server.check_output(
        "grep -rls planted-secret-081[5] /data /etc /var/log /run /usr/local /proc/*/cmdline || true"
    )
    journal = server.check_output("journalctl --no-pager --output cat | grep -c planted-secret-081[5] || true")

    assert found.split() == ["/data/mlflow/etc/server.env"]
    assert journal == "0"
    assert server.file("/data/mlflow/etc/server.env").mode == 0o640
