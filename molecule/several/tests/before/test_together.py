"""The old release behind the proxy, and an upgrade whose new release does not start on the server that migrates."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

KEPT = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "logged.json")
DROP_IN = "/run/systemd/system/mlflow.service.d/fail.conf"
FAIL = """[Service]
ExecStartPre=/bin/sh -c 'case "$(readlink /opt/mlflow/current)" in *3.17.2*) echo no such luck; exit 1;; esac'
"""
REVISION = "psql -XAtq mlflow -c 'SELECT version_num FROM alembic_version'"


def test_what_is_logged_through_the_proxy_both_have(
    log_run: Callable[[], dict[str, Any]], check_known: Callable[[dict[str, Any]], None]
) -> None:
    logged = log_run()
    KEPT.write_text(json.dumps(logged))
    check_known(logged)


def test_a_failed_upgrade_is_taken_back_on_both(
    run_site: Callable[..., subprocess.CompletedProcess[str]],
    servers: list[Host],
    proxy: Host,
    releases: Callable[[], list[str]],
    check_known: Callable[[dict[str, Any]], None],
) -> None:
    revision = proxy.check_output(f"runuser -u postgres -- {REVISION}")
    first = servers[0]
    first.check_output(f"mkdir -p $(dirname {DROP_IN}) && printf %s {shlex.quote(FAIL)} >{DROP_IN}")
    first.check_output("systemctl daemon-reload")
    try:
        # It builds the release on both, too.
        ran = run_site(seconds=900)
    finally:
        first.check_output(f"rm {DROP_IN} && systemctl daemon-reload")

    assert ran.returncode == 2, ran.stdout
    assert "The upgrade from MLflow 3.1.4 to 3.17.2 failed at the step 'start' and was taken back" in ran.stdout
    assert "The upgrade of mlflow-several-one, which may share its database with this server, failed" in ran.stdout
    assert releases() == ["3.1.4", "3.1.4"]
    assert proxy.check_output(f"runuser -u postgres -- {REVISION}") == revision
    check_known(json.loads(KEPT.read_text()))
