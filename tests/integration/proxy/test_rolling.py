"""Servers behind one proxy are restarted one after the other, and no request of a client fails.

What the role mlflow_server does by its handlers is done here by hand, for there is no systemd: the file that nginx looks
for, and the unit's own probe.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.proxy.site import NAME, Authority, Proxy, Server, free_port, proxy, render

API = "/api/2.0/mlflow"
NAMES = ("ml1", "ml2")


@dataclass
class Client:
    """Asks and writes as fast as it is answered, until it is told to stop."""

    running: Proxy
    run_id: str
    stop: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failed: list[str] = field(default_factory=list)

    def loop(self) -> None:
        step = 0
        while not self.stop.is_set():
            step += 1
            metric = {"run_id": self.run_id, "key": "m", "value": step, "timestamp": 1, "step": step}
            self._ask("GET", f"{API}/runs/get?run_id={self.run_id}", None)
            logged = json.dumps(metric).encode()
            self._ask("POST", f"{API}/runs/log-metric", logged)
            # In chunks, which nginx passes on by another location.
            self._ask("POST", f"{API}/runs/log-metric", iter((logged,)))

    def _ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None) -> None:
        try:
            status, _headers, content = self.running.ask(method, path, body, Content_Type="application/json")
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(f"{method}: {error!r}")
            return
        if status == 200:
            self.answered += 1
        else:
            self.failed.append(f"{method}: {status} {content[:100]!r}")

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        thread = threading.Thread(target=self.loop)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()


@pytest.fixture(scope="module")
def pair(authority: Authority, public_directory: Path) -> Iterator[tuple[Proxy, list[Server]]]:
    """Two servers of two workers each, with one database, behind one proxy."""
    scratch, ports = public_directory / "two", [free_port() for _each in range(4)]
    inputs = {
        "mlflow_tracking_uri": f"https://{NAME}:{ports[0]}",
        "mlflow_proxy_redirect_port": ports[1],
        "mlflow_proxy_servers": [
            {"name": name, "address": "127.0.0.1", "port": port} for name, port in zip(NAMES, ports[2:], strict=True)
        ],
        **authority.pair("good"),
    }
    variables = {**render(scratch, inputs), "MLFLOW_WORKERS": "2"}
    with proxy(scratch, ports, authority) as running:
        yield running, [Server(scratch, port, variables) for port in ports[2:]]


def end(process: int) -> None:
    """Stop a server as the unit does: only its first process is told (KillMode=mixed)."""
    os.kill(process, signal.SIGTERM)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process, 0)


def test_no_request_fails_while_servers_are_restarted(pair: tuple[Proxy, list[Server]]) -> None:
    running, servers = pair
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(server.serving()).pid for server in servers]
        created = running.ask("POST", f"{API}/runs/create", '{"experiment_id": "0"}', Content_Type="application/json")
        client = Client(running, json.loads(created[2])["run"]["info"]["run_id"])
        with client.working():
            for name, server, process in zip(NAMES, servers, processes, strict=True):
                pause = running.scratch / f"without-{name}"
                pause.touch()
                before = client.answered
                end(process)
                stack.enter_context(server.serving())
                # The other one has answered meanwhile.
                assert client.answered > before
                pause.unlink()
                time.sleep(1)
    assert client.failed == []
    assert client.answered > 50
