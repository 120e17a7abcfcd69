"""The server tells Prometheus of its calls, and the journal nothing of them."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

from testinfra.host import Host


def ask(url: str, host: str | None = None) -> tuple[int, str]:
    address = urlsplit(url)
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request("GET", "/metrics", headers={"Host": host} if host else {})
        with connection.getresponse() as response:
            return response.status, response.read().decode()


def test_calls_are_counted_for_those_who_know_the_servers_name(url: str) -> None:
    status, text = ask(url)
    assert status == 200
    assert 'mlflow_http_request_total{method="POST",status="200"}' in text
    assert ask(url, "evil.example.org")[0] == 403


def test_counters_are_the_services_own_and_end_with_it(server: Host) -> None:
    directory = server.file("/run/mlflow-metrics")
    assert (directory.user, directory.mode) == ("mlflow", 0o700)
    server.check_output("systemctl stop mlflow.service")
    gone = not server.file("/run/mlflow-metrics").exists
    server.check_output("systemctl start mlflow.service")
    assert gone


def test_the_journal_has_no_line_for_a_call(server: Host, url: str) -> None:
    ask(url)
    assert "GET /metrics" not in server.check_output("journalctl --unit mlflow.service --no-pager")
