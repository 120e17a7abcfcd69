"""What integration tests share: real programs on this machine, and no host of a lab."""

from __future__ import annotations

import socket
import sys

import pytest

from tools import stage

stage.link()
sys.path.insert(0, str(stage.LINKED))


@pytest.fixture(scope="session")
def free_ports() -> list[int]:
    """Ports of the loopback that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _each in range(6)]
    numbers = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return numbers
