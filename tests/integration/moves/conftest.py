"""Servers of real releases, on this machine and without any host, and what their users log."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.databases import free_port
from tests.integration.releases import Release

HERE = Path(__file__).parent
_START_SECONDS = 120


def run(*argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program and return what it printed; what it complained of stands in the failure."""
    done = subprocess.run([*map(str, argv)], check=False, text=True, capture_output=True, timeout=300, env=env, cwd=cwd)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def get(url: str, path: str, timeout: float = 60) -> bytes:
    """Return what a server of this machine answers.  Raises OSError."""
    address = urllib.parse.urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)) as asked:
        asked.request("GET", path)
        with asked.getresponse() as answer:
            content = answer.read()
            assert answer.status == 200, content
            return content


@contextmanager
def serving(release: Release, scratch: Path, environment: dict[str, str], *options: str) -> Iterator[str]:
    """Run the server with the variables of an environment file, and yield its address."""
    port = free_port()
    work = scratch / "work"
    work.mkdir(exist_ok=True)
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
        **environment,
        "HOME": str(work),
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": str(port),
        "MLFLOW_WORKERS": "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "1",
    }
    log = scratch / "server.log"
    with log.open("ab") as stream:
        # A session of its own, so that its workers end with it.
        server = subprocess.Popen(
            [release.directory / "bin/mlflow", "server", *options],
            cwd=work,
            env=variables,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
        try:
            _wait(server, f"http://127.0.0.1:{port}", environment.get("MLFLOW_STATIC_PREFIX", ""), log)
            yield f"http://127.0.0.1:{port}"
        finally:
            # Older releases leave their gunicorn behind.
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(20)


def _wait(server: subprocess.Popen[bytes], url: str, prefix: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text(errors="replace")
        try:
            get(url, f"{prefix}/health", timeout=5)
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail(f"no answer from {url}:\n{log.read_text(errors='replace')}")


def log_everything(release: Release, url: str, scratch: Path) -> dict[str, Any]:
    """Log one of everything and return what was logged."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
        "MLFLOW_TRACKING_URI": url,
        "HOME": str(scratch),
        "GIT_PYTHON_REFRESH": "quiet",
        "DO_NOT_TRACK": "1",
    }
    printed = run(release.python, HERE / "log_everything.py", env=variables, cwd=scratch)
    logged: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return logged
