"""Backups in a restic repository behind a REST server that only appends: rclone's, whose protocol is restic's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.backup_program.test_backup import Host, host, programs
from tests.integration.backup_program.test_sftp import free_port, wait

__all__ = ["host", "programs"]


@pytest.fixture
def server(programs: None, tmp_path: Path) -> Iterator[int]:
    """Run the server, and return its port."""
    place, port = tmp_path / "rest", free_port()
    place.mkdir()
    command = ["rclone", "serve", "restic", "--append-only", "--addr", f"127.0.0.1:{port}", str(place)]
    secret = {"RCLONE_USER": "mlflow", "RCLONE_PASS": "s3cret", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with (tmp_path / "rclone.log").open("wb") as log:
        process = subprocess.Popen(command, env=secret, stdout=log, stderr=log)
    try:
        wait(port, tmp_path / "rclone.log")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def test_a_lost_host_is_restored_and_could_not_drop_its_backups(host: Host, server: int) -> None:
    repository = f"rest:http://mlflow:s3cret@127.0.0.1:{server}/"
    given = {"artifacts": "restic", "restic_repository": repository, "restic_forget": "no", "keep": 1}
    host.back_up(**given)
    host.log("d")
    runs, files = host.runs(), host.files()
    host.back_up(**given)

    restic = ["restic", "--repo", repository, "--password-file", str(host.place / "password"), "--no-cache"]
    listed = subprocess.run([*restic, "snapshots", "--json"], check=True, capture_output=True).stdout
    assert len(json.loads(listed)) == 2
    # Not by restic, which tries for a minute.
    snapshot = json.loads(listed)[0]["id"]
    deleting = urllib.request.Request(f"http://127.0.0.1:{server}/snapshots/{snapshot}", method="DELETE")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        opener(server).open(deleting, timeout=30)

    host.lose()
    shutil.rmtree(host.backups)
    host.backups.mkdir()
    host.do("restore", **given)
    assert (host.runs(), host.files()) == (runs, files)


def opener(port: int) -> urllib.request.OpenerDirector:
    """Return what logs in as restic does, past any proxy."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, f"http://127.0.0.1:{port}/", "mlflow", "s3cret")
    handlers = (urllib.request.HTTPBasicAuthHandler(passwords), urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)
