"""A server that speaks TLS itself: its own probe and MLflow's client use it, and nobody without TLS."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.proxy.site import HERE, NAME, Authority, Server, free_port, render
from tests.integration.proxy.test_proxy import ask_plainly
from tests.integration.releases import NEWEST, release


def test_a_run_without_a_proxy(authority: Authority, public_directory: Path) -> None:
    scratch, port = public_directory / "alone", free_port()
    scratch.mkdir()
    variables = render(
        scratch,
        {
            "mlflow_tracking_uri": f"https://{NAME}:{port}",
            "mlflow_server_tls_certificate": str(authority.directory / "good.pem"),
            "mlflow_server_access_log": False,
            "__mlflow_server_tls_directory": str(scratch),
            "mlflow_proxy_servers": [{"name": "ml1", "address": "127.0.0.1", "port": port}],
            **authority.pair("good"),
        },
    )
    # As systemd does.
    for link, name in (("tls.pem", "good.pem"), ("tls.key", "good.key")):
        (scratch / link).symlink_to(authority.directory / name)
    assert f"https://{NAME}:{port}" in variables["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")

    server = Server(scratch, port, variables)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
        "MLFLOW_TRACKING_URI": f"https://{NAME}:{port}",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority.file),
        "DO_NOT_TRACK": "1",
    }
    with server.serving():
        command = [str(release(NEWEST).python), str(HERE / "log_run.py"), NAME, "1000000"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=scratch)
        assert ran.returncode == 0, ran.stderr
        first, second = json.loads(ran.stdout.splitlines()[-1])["hashes"]
        assert first == second
        with pytest.raises((http.client.HTTPException, OSError)):
            ask_plainly(port, "/health", NAME)
