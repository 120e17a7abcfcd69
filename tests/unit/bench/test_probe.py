from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.probe import ask, watching
from lab.base import LabError


@contextmanager
def server(statuses: list[int]) -> Iterator[int]:
    """Answer with one status after the other, then with the last one; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/api/2.0/mlflow/experiments/search"
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as answering:
        thread = threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield answering.server_port
        finally:
            answering.shutdown()
            thread.join()


def test_only_an_answered_call_is_an_answer() -> None:
    with server([500, 403, 200]) as port:
        assert [ask("127.0.0.1", port) for _attempt in range(3)] == ["500 ", "403 ", ""]


def test_the_first_answer_is_waited_for() -> None:
    with server([503, 503, 200]) as port, watching("127.0.0.1", port) as answer:
        assert answer.moment(5) > 0


def test_a_server_that_never_answers_is_given_up_with_what_it_said() -> None:
    with (
        server([503]) as port,
        watching("127.0.0.1", port) as answer,
        pytest.raises(LabError, match=f"127.0.0.1:{port} doesn't answer after 0 s; last seen: 503"),
    ):
        answer.moment(0.3)
