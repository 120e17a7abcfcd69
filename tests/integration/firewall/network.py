"""A host, and two that call it, as network namespaces of this machine's kernel: ip-netns(8)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Who calls, by the end of their addresses.
CALLERS = {"named": 2, "stranger": 3}
_SERVE = """
import socket, sys, threading
def serve(listening):
    while True:
        with listening.accept()[0] as it:
            it.sendall(b"hello")
for port in map(int, sys.argv[1:]):
    listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    threading.Thread(target=serve, args=(listening,)).start()
print("ready", flush=True)
"""
_CALL = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1.5) as it:
    print(it.recv(5).decode())
"""


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, f"{command}: {ended.stderr}"
    return ended.stdout


@dataclass(frozen=True)
class Network:
    """Namespaces ``PREFIXhost`` (192.0.2.1, 2001:db8::1), ``PREFIXnamed`` and ``PREFIXstranger``."""

    prefix: str

    def inside(self, name: str, *command: str | Path) -> str:
        return run("ip", "netns", "exec", self.prefix + name, *command)

    def load(self, file: Path) -> None:
        self.inside("host", "/usr/sbin/nft", "--file", file)

    def gets_through(self, caller: str, port: int, *, ip: int = 4) -> bool:
        """Whether a caller is answered; a caller whose packets are dropped waits in vain."""
        address = "127.0.0.1" if caller == "host" else {4: "192.0.2.1", 6: "2001:db8::1"}[ip]
        command = ["ip", "netns", "exec", self.prefix + caller, sys.executable, "-I", "-c", _CALL, address, str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert ended.returncode == 0 or "timed out" in ended.stderr, ended.stderr
        return ended.stdout.strip() == "hello"

    def tables(self) -> set[str]:
        listed = json.loads(self.inside("host", "/usr/sbin/nft", "--json", "list", "tables"))["nftables"]
        return {one["table"]["name"] for one in listed if "table" in one}

    @contextmanager
    def up(self, ports: list[int]) -> Iterator[None]:
        """Have the namespaces, joined by a bridge in the host's, where something listens on the ports."""
        with ExitStack() as stack:
            for name in ("host", *CALLERS):
                run("ip", "netns", "add", self.prefix + name)
                stack.callback(subprocess.run, ["ip", "netns", "delete", self.prefix + name], check=False)
                self.inside(name, "ip", "link", "set", "lo", "up")
            self.inside("host", "ip", "link", "add", "br0", "type", "bridge")
            self.address("host", "br0", 1)
            for name, number in CALLERS.items():
                other = self.prefix + name
                self.inside("host", "ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", other)
                self.inside("host", "ip", "link", "set", name, "master", "br0", "up")
                self.address(name, "eth0", number)
            command = ["ip", "netns", "exec", self.prefix + "host", sys.executable, "-I", "-c", _SERVE]
            server = stack.enter_context(
                subprocess.Popen([*command, *map(str, ports)], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(server.kill)
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield

    def address(self, name: str, device: str, number: int) -> None:
        self.inside(name, "ip", "address", "add", f"192.0.2.{number}/24", "dev", device)
        self.inside(name, "ip", "-6", "address", "add", f"2001:db8::{number}/64", "dev", device, "nodad")
        self.inside(name, "ip", "link", "set", device, "up")
