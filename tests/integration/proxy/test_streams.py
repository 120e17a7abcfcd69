"""Large bodies and events pass through nginx as they come: nothing is kept on its disk or in its memory.

The server behind it is a stand-in, as MLflow would write what it gets, and sends events for language models only.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.proxy.site import MAIN, NAME, Proxy, free_port, memory, proxy
from tests.integration.proxy.test_proxy import Site

GIGABYTES = 5
CHUNK = bytes(2**20)
EVENTS = 4
#: How long the next event is kept back when nobody has told that the one before has come.
PATIENCE = 30


class StandIn(BaseHTTPRequestHandler):
    """Counts what it gets, and sends each event when the one before has come."""

    protocol_version = "HTTP/1.1"
    came = threading.Semaphore(0)

    def do_PUT(self) -> None:
        length, buffer = int(self.headers["Content-Length"]), bytearray(2**20)
        while length:
            read = self.connection.recv_into(buffer, min(length, len(buffer)))
            assert read, "the body ended early"
            length -= read
        self._answer(str(self.headers["Content-Length"]).encode())

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(EVENTS):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            if not self.came.acquire(timeout=PATIENCE):
                return

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    # What it reads of the body, nothing must have read before.
    rbufsize = 0

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@contextlib.contextmanager
def standing_in(site: Site, scratch: Path, limit: str = "0") -> Iterator[Proxy]:
    """Run nginx with the rendered file of the site, but for the limit of bodies, and another server behind it."""
    one, ports = site[0], [free_port() for _each in range(2)]
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        text = (one.scratch / "conf.d/mlflow.conf").read_text()
        assert "client_max_body_size 0;" in text
        text = text.replace("client_max_body_size 0;", f"client_max_body_size {limit};")
        for before, after in zip((one.port, one.plain, site[1].port), (*ports, server.server_port), strict=True):
            text = text.replace(f":{before}", f":{after}")
        (scratch / "conf.d").mkdir(parents=True)
        (scratch / "conf.d/mlflow.conf").write_text(text)
        (scratch / "nginx.conf").write_text(MAIN.format(scratch=scratch))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with proxy(scratch, ports, one.authority) as running:
                yield running
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def stand_in(site: Site, public_directory: Path) -> Iterator[Proxy]:
    with standing_in(site, public_directory / "streams") as running:
        yield running


def kept(process: int) -> list[str]:
    """Return the temporary files that a process has open; nginx deletes them as soon as it has made them."""
    found = []
    for name in os.listdir(f"/proc/{process}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{process}/fd/{name}"))
    return [path for path in found if "/bodies/" in path or "/answers/" in path]


def test_a_large_body_is_streamed(stand_in: Proxy) -> None:
    (worker,), seen = stand_in.workers(), set()

    def body() -> Iterator[bytes]:
        for number in range(GIGABYTES * 1024):
            if number % 256 == 255:
                seen.update(kept(worker))
            yield CHUNK

    size = GIGABYTES * 2**30
    connection = http.client.HTTPConnection("127.0.0.1", timeout=120)
    with contextlib.closing(connection):
        connection.sock = stand_in.connect()
        connection.request("PUT", "/large", body(), {"Host": NAME, "Content-Length": str(size)})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, str(size).encode())
    assert seen == set()
    assert "temporary file" not in stand_in.complaints()
    assert memory(worker) < 64


def test_a_body_of_unknown_length_gets_one(stand_in: Proxy) -> None:
    """Only after it: what is streamed leaves no file, as the test before has seen."""
    status, _headers, content = stand_in.ask("PUT", "/unsized", iter([CHUNK] * 20))
    assert (status, content) == (200, str(20 * len(CHUNK)).encode())


def test_the_limit_holds_with_and_without_a_length(site: Site, public_directory: Path) -> None:
    with standing_in(site, public_directory / "limited", "2m") as limited:
        for body in (CHUNK * 2, iter([CHUNK] * 2)):
            assert limited.ask("PUT", "/fits", body)[0] == 200
        sized = {"Content_Length": str(GIGABYTES * 2**30)}
        assert limited.ask("PUT", "/large", **sized)[0] == 413
        assert limited.ask("PUT", "/large", iter([CHUNK] * 3))[0] == 413


def test_events_come_when_they_are_sent(stand_in: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", timeout=60)
    with contextlib.closing(connection):
        connection.sock = stand_in.connect()
        connection.request("GET", "/events", headers={"Host": NAME})
        answer = connection.getresponse()
        # Had the first been kept back, nobody would have had the stand-in send the second.
        for number in range(EVENTS):
            assert answer.readline() == f"data: {number}\n".encode()
            assert answer.readline() == b"\n"
            StandIn.came.release()
        assert answer.readline() == b""
