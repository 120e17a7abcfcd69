"""What users of clients wrote to a share that takes root for nobody is backed up, by the server's account."""

from __future__ import annotations

import json
import shlex
from typing import Any

from testinfra.host import Host

ROOT = "/mnt/mlflow"
BACKUPS = "/var/backups/mlflow"


def test_artifacts_that_root_may_not_read_are_backed_up(logged: dict[str, Any], server: Host) -> None:
    assert server.run(f"ls {ROOT}").rc != 0, "root may look into the share: it is not squashed"

    server.check_output("systemctl start mlflow-backup.service")

    newest = server.check_output(f"ls {BACKUPS} | grep Z$ | tail -n 1")
    record = json.loads(server.check_output(f"cat {BACKUPS}/{newest}/backup.json"))
    assert set(record["verified"]) == {"tracking"}
    assert record["stores"]["tracking"]["counts"]["runs"] >= 1
    assert record["artifacts"]["files"] >= 1, record
    within = logged["artifact_uri"].removeprefix(ROOT)
    before = hashes(server, f"{ROOT}{within}", "runuser -u mlflow --")
    assert before
    assert hashes(server, f"{BACKUPS}/{newest}/artifacts{within}") == before


def hashes(server: Host, directory: str, prefix: str = "") -> str:
    """Return the SHA-256 of all files below a directory, whose names may have blanks."""
    script = f"cd {directory} && find . -type f -print0 | sort --zero-terminated | xargs --null sha256sum"
    return str(server.check_output(f"{prefix} sh -c {shlex.quote(script)}"))
