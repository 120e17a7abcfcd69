"""The readiness probe against a server that answers as MLflow does."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from tests.unit.roles.role_files import ROLES

PROBE = ROLES / "mlflow_server" / "files" / "mlflow-ready"


class FakeMlflow(BaseHTTPRequestHandler):
    """Lets one Host in, and has the API below a prefix."""

    asked: ClassVar[list[str]] = []
    there: ClassVar[set[str]] = {"7", "abc"}
    status = 200
    missing = ""

    def do_POST(self) -> None:
        self.asked.append(f"{self.headers['Host']} {self.path}")
        length = int(self.headers["Content-Length"])
        assert self.rfile.read(length) == b'{"max_results": 1}'
        status = 404 if self.missing and self.path.startswith(self.missing) else self.status
        self.send_response(403 if self.headers["Host"] != "mlflow.example.org:5000" else status)
        self.end_headers()
        self.wfile.write(b"an answer")

    def do_GET(self) -> None:
        self.asked.append(f"{self.headers['Host']} {self.path}")
        _path, _mark, query = self.path.partition("?")
        name, _equals, wanted = query.partition("=")
        there = wanted in self.there
        info = {"experiment_id": wanted} if name == "experiment_id" else {"info": {"run_id": wanted}}
        self.send_response(200 if there else 404)
        self.end_headers()
        self.wfile.write(json.dumps({name.removesuffix("_id"): info} if there else {}).encode())

    def log_message(self, *args: object, **named: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    FakeMlflow.asked, FakeMlflow.status, FakeMlflow.missing = [], 200, ""
    with HTTPServer(("127.0.0.1", 0), FakeMlflow) as fake:
        thread = threading.Thread(target=fake.serve_forever)
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()


def probe(port: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-I", str(PROBE), "--deadline", "1", *arguments)
    variables = {"MLFLOW_HOST": "0.0.0.0", "MLFLOW_PORT": str(port), **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=30)


def test_asks_as_a_client_does(server: HTTPServer) -> None:
    ran = probe(server.server_port, "--host-header", "mlflow.example.org:5000", MLFLOW_STATIC_PREFIX="/tools")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "answers (status 200)" in ran.stdout
    assert FakeMlflow.asked == ["mlflow.example.org:5000 /tools/api/2.0/mlflow/experiments/search"]


def test_an_older_release_has_only_the_web_pages_api_below_the_prefix(server: HTTPServer) -> None:
    FakeMlflow.missing = "/tools/api/"
    ran = probe(server.server_port, "--host-header", "mlflow.example.org:5000", MLFLOW_STATIC_PREFIX="/tools")
    assert ran.returncode == 0
    assert FakeMlflow.asked[-1].endswith(" /tools/ajax-api/2.0/mlflow/experiments/search")


def test_a_refused_host_is_told_at_once(server: HTTPServer) -> None:
    ran = probe(server.server_port, "--host-header", "other")
    assert ran.returncode == 1
    assert "refuses the Host header 'other'" in ran.stderr
    assert len(FakeMlflow.asked) == 1


@pytest.mark.parametrize(("status", "code"), [(401, 0), (404, 1), (500, 1), (503, 1)])
def test_statuses(server: HTTPServer, status: int, code: int) -> None:
    FakeMlflow.status = status
    ran = probe(server.server_port, "--host-header", "mlflow.example.org:5000")
    assert ran.returncode == code
    assert code == 0 or f"status {status}: an answer" in ran.stderr


NAMED = ("--host-header", "mlflow.example.org:5000")


def test_what_was_there_before_is_asked_for(server: HTTPServer) -> None:
    ran = probe(server.server_port, *NAMED, "--experiment", "7", "--run", "abc")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "has experiment 7" in ran.stdout
    assert "has run abc" in ran.stdout


@pytest.mark.parametrize("gone", [("--experiment", "8"), ("--run", "def"), ("--experiment", "7", "--run", "def")])
def test_what_is_gone_is_told(server: HTTPServer, gone: tuple[str, ...]) -> None:
    ran = probe(server.server_port, *NAMED, *gone)
    assert ran.returncode == 1
    assert f"{gone[-2][2:]} {gone[-1]}: status 404" in ran.stderr


def test_with_authentication_nothing_can_be_asked_for(server: HTTPServer) -> None:
    FakeMlflow.status = 401
    assert probe(server.server_port, *NAMED, "--run", "def").returncode == 0


def test_nobody_listens() -> None:
    with HTTPServer(("127.0.0.1", 0), FakeMlflow) as fake:
        port = fake.server_port
    ran = probe(port, "--host-header", "x")
    assert ran.returncode == 1
    assert "no answer within 1 s" in ran.stderr
    assert "ConnectionRefusedError" in ran.stderr


def test_the_server_s_end_is_noticed() -> None:
    with subprocess.Popen((sys.executable, "-c", "pass")) as ended:
        ended.wait()
    ran = probe(1, "--host-header", "x", "--deadline", "60", "--process", str(ended.pid))
    assert ran.returncode == 1
    assert f"process {ended.pid}) ended" in ran.stderr


def test_ipv6_wildcard(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runpy.run_path(str(PROBE))["WILDCARDS"]["::"] == "::1"
    assert os.access(PROBE, os.R_OK)
