"""The newest release serves what the old one held, and an older one is refused."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

from lab.outcomes import prove_run


def test_the_run_of_before_is_whole(server: Host, url: str, logged: dict[str, Any]) -> None:
    assert server.check_output("readlink /opt/mlflow/current").startswith("venvs/mlflow-3.17.2-")
    prove_run(logged, url, "/srv/mlflow/artifacts", lambda argv: str(server.check_output(shlex.join(argv))))


def test_the_dump_and_the_journal_say_what_was_done(server: Host) -> None:
    journal = json.loads(server.file("/opt/mlflow/upgrade.json").content_string)
    manifest = json.loads(server.file(f"{journal['backup']}/manifest.json").content_string)

    assert (journal["step"], manifest["stores"]["tracking"]["revision"]) == ("done", "bda7b8c39065")
    assert journal["sample"]["run"]
    assert server.file("/var/backups/mlflow/upgrades").mode == 0o700
    assert "migrated the tracking database" in server.file(journal["log"]).content_string


def test_an_older_release_is_refused_with_what_to_do(
    server: Host, run_site: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    run = run_site("--extra-vars", "mlflow_version=3.1.4")

    assert run.returncode == 2, run.stdout
    assert "which MLflow 3.1.4 does not know, and 3.17.2 is in use" in run.stdout
    assert "leave mlflow_server_version at 3.17.2" in run.stdout
    assert server.service("mlflow").is_running
