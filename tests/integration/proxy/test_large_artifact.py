"""A file of 5 GB passes through nginx into MLflow itself, and back, byte by byte, and nobody keeps it in memory."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
from collections.abc import Callable, Iterator

import pytest

from tests.integration.proxy.conftest import PREFIX
from tests.integration.proxy.site import NAME, Proxy, memory
from tests.integration.proxy.test_proxy import Site
from tests.integration.proxy.test_streams import GIGABYTES

MEGABYTES = GIGABYTES * 1024
PLACE = "0/large/artifacts/weights.bin"
SECONDS = 900


def blocks() -> Iterator[bytes]:
    """The file, whose parts are all different."""
    for number in range(MEGABYTES):
        yield number.to_bytes(16, "big") * 2**16


def ask(running: Proxy, method: str, body: Iterator[bytes] | None, take: Callable[[bytes], object]) -> int:
    """Ask for the file's place, hand on what comes, and return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", timeout=SECONDS)
    with contextlib.closing(connection):
        connection.sock = running.connect()
        connection.sock.settimeout(SECONDS)
        headers = {"Host": f"{NAME}:{running.port}"}
        if body:
            headers["Content-Length"] = str(MEGABYTES * 2**20)
        connection.request(method, f"{PREFIX}/api/2.0/mlflow-artifacts/artifacts/{PLACE}", body, headers)
        answer = connection.getresponse()
        while read := answer.read(2**20):
            take(read)
        return answer.status


@pytest.mark.long
def test_a_large_artifact_arrives_and_comes_back(site: Site) -> None:
    running, server = site
    sent, kept, back = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()

    def body() -> Iterator[bytes]:
        for block in blocks():
            sent.update(block)
            yield block

    file = server.directory / "artifacts" / PLACE
    try:
        assert ask(running, "PUT", body(), len) == 200
        assert file.stat().st_size == MEGABYTES * 2**20
        with file.open("rb") as stream:
            while read := stream.read(2**20):
                kept.update(read)
        assert ask(running, "GET", None, back.update) == 200
    finally:
        file.unlink(missing_ok=True)

    assert sent.digest() == kept.digest() == back.digest()
    (worker,) = running.workers()
    assert memory(worker) < 64
    assert server.memory() < 1024
