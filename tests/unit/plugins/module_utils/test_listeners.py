from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import listeners
from ansible_collections.selfhosted.mlflow.plugins.module_utils.listeners import Listener

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000   850        0 4711 1 0 100\n"
TALKS = "   1: 0100007F:1388 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20\n"
LISTENS6 = (
    "   0: 00000000000000000000000001000000:1388 00000000000000000000000000000000:0000 0A"
    " 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100\n"
)


def test_only_listening_sockets() -> None:
    assert listeners.parse(HEAD + LISTENS + TALKS) == [Listener("127.0.0.1", 5000, "4711", uid=850)]


def test_ipv6() -> None:
    assert listeners.parse(HEAD + LISTENS6) == [Listener("::1", 5000, "4713", uid=0)]


@pytest.mark.parametrize(
    ("held", "wanted", "blocked"),
    [
        ("0.0.0.0", "127.0.0.1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("::", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.1", False),
    ],
)
def test_blocks(held: str, wanted: str, blocked: bool) -> None:
    assert Listener(held, 5000, "1").blocks(wanted) is blocked


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/mlflow.service\n", "mlflow.service"),
        ("0::/system.slice/mlflow.service/worker\n", "mlflow.service"),
        ("12:pids:/system.slice/nginx.service\n0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", ""),
        ("0::/\n", ""),
    ],
)
def test_unit_of(cgroup: str, unit: str) -> None:
    assert listeners.unit_of(cgroup) == unit


def test_finds_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (found,) = listeners.on_port(server.getsockname()[1])
    assert found.address == "127.0.0.1"
    assert f"(process {os.getpid()})" in found.process
    assert os.getpid() in found.holders
