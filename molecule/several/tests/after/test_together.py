"""The newest release on both, with what the old one held; and a change that restarts one after the other."""

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
#: A client that asks all the time, and notes the status of each answer.
LOOP = (
    "while sleep 0.1; do curl --silent --output /dev/null --max-time 60 --write-out '%{http_code}\\n'"
    " --cacert /etc/ssl/lab/ca.pem 'https://three.lab.test/api/2.0/mlflow/experiments/search?max_results=1';"
    " done >/tmp/statuses 2>&1"
)


def test_both_serve_what_the_old_release_held(
    releases: Callable[[], list[str]], check_known: Callable[[dict[str, Any]], None]
) -> None:
    assert releases() == ["3.17.2", "3.17.2"]
    check_known(json.loads(KEPT.read_text()))


def test_one_has_migrated_and_the_other_has_followed(servers: list[Host]) -> None:
    first, second = (server.file("/opt/mlflow/upgrade.json") for server in servers)
    journal = json.loads(first.content_string)

    assert (journal["step"], journal["migrates"]) == ("done", True)
    assert servers[0].file(f"{journal['backup']}/manifest.json").exists
    assert not second.exists


def test_a_change_restarts_one_after_the_other_and_no_request_fails(
    run_site: Callable[..., subprocess.CompletedProcess[str]], servers: list[Host], proxy: Host
) -> None:
    before = [server.check_output("systemctl show mlflow --property=MainPID --value") for server in servers]
    proxy.check_output(f"systemd-run --unit lab-client --quiet sh -c {shlex.quote(LOOP)}")
    try:
        ran = run_site("--extra-vars", "mlflow_server_memory_max=1900M", seconds=600)
    finally:
        proxy.check_output("systemctl stop lab-client")
    after = [server.check_output("systemctl show mlflow --property=MainPID --value") for server in servers]
    statuses = proxy.file("/tmp/statuses").content_string.split()

    assert ran.returncode == 0, ran.stdout
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert len(statuses) > 100
    assert set(statuses) == {"200"}
