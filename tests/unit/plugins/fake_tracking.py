"""A fake of MLflow's tracking server: answers are scripted, requests are kept."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """One answer; ``chunks`` are written with ``pause`` before each."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    pause: Callable[[], object] = lambda: None

    @property
    def chunks(self) -> list[bytes]:
        if isinstance(self.body, list):
            return self.body
        return [self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()]


Respond = Callable[[Asked], Answer]


@dataclass
class FakeTracking:
    """Where it listens, and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def serve(respond: Respond, tls: ssl.SSLContext | None = None) -> Iterator[FakeTracking]:
    """Serve on a free port of this machine until the block ends, with ``tls`` where it is given."""
    fake = FakeTracking("")

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, json.loads(raw) if raw else None)
            fake.asked.append(asked)
            answer = respond(asked)
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for chunk in answer.chunks:
                    answer.pause()
                    self.wfile.write(chunk)
                    self.wfile.flush()
            except OSError:
                pass  # the client had enough

        def log_message(self, *arguments: object) -> None:
            pass

    for method in ("GET", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        if tls:
            # Each connection in its own thread: a client that is refused must not end the server.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        fake.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
