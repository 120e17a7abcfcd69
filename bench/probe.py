# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a server answers a call of its API, and what it holds in memory."""

from __future__ import annotations

import http
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.base import LabError

_SEARCH = "/api/2.0/mlflow/experiments/search"
_INTERVAL = 0.1
_CALL_SECONDS = 10.0


def ask(address: str, port: int) -> str:
    """Ask the API for an experiment, whatever proxy this machine uses; return what is wrong, or '' when it answers."""
    connection = http.client.HTTPConnection(address, port, timeout=_CALL_SECONDS)
    try:
        connection.request("POST", _SEARCH, json.dumps({"max_results": 1}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if answer.status == http.HTTPStatus.OK else f"{answer.status} {text[:200]}"


class FirstAnswer:
    """Asks a server again and again, in a thread, until it answers for the first time."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self._seen = "nothing yet"
        self._stop, self._answered = threading.Event(), threading.Event()
        self._moment = 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._seen = ask(self._address, self._port)
            if not self._seen:
                self._moment = time.monotonic()
                self._answered.set()
                return
            self._stop.wait(_INTERVAL)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Give up, if it didn't answer yet."""
        self._stop.set()
        self._thread.join()

    def moment(self, seconds: float) -> float:
        """Return when it answered, by time.monotonic().

        :param seconds: how long to wait for that.
        :raises LabError: it didn't answer.
        """
        if not self._answered.wait(seconds):
            where = f"{self._address}:{self._port}"
            raise LabError(f"{where} doesn't answer after {seconds:.0f} s; last seen: {self._seen}")
        return self._moment


@contextmanager
def watching(address: str, port: int) -> Iterator[FirstAnswer]:
    """Ask a server until it answers, or the block is left."""
    watch = FirstAnswer(address, port)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
