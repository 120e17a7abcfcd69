# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's network: a switch of its own, joined to this machine by a tap device, routed and masqueraded.

The forwarding rules are the lab's own, because a Docker engine drops all other forwarded traffic.
"""

from __future__ import annotations

import ipaddress
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab import processes
from lab.base import LabError, digest, private_directory, run

POOL = "10.213.0.0/16"
INTERFACE_NAME_LIMIT = 15  # IFNAMSIZ in linux/if.h, less its final NUL
_FORWARD_SWITCH = Path("/proc/sys/net/ipv4/ip_forward")
Network = ipaddress.IPv4Network


@dataclass(frozen=True)
class LabNetwork:
    """The network of one lab.

    :ivar subnet: its /24; the first address is this machine's.
    :ivar tap: the tap device.
    :ivar run: the directory of its sockets.
    """

    lab: str
    subnet: Network
    tap: str
    run: Path

    @property
    def gateway(self) -> str:
        """This machine's address in the network."""
        return str(self.subnet[1])

    @property
    def socket(self) -> Path:
        """Where hosts connect to the switch."""
        return self.run / "switch"

    @property
    def switch_arguments(self) -> tuple[str, ...]:
        """The arguments that tell this lab's switch from all other processes."""
        return ("uml_switch", str(self.socket))

    @property
    def rules(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """The packet filter's rules, as (table, chain, rule)."""
        mark = ("-m", "comment", "--comment", f"selfhosted-mlflow {self.tap}")
        net = str(self.subnet)
        return (
            ("nat", "POSTROUTING", ("-s", net, "!", "-d", net, *mark, "-j", "MASQUERADE")),
            ("filter", "FORWARD", ("-i", self.tap, *mark, "-j", "ACCEPT")),
            ("filter", "FORWARD", ("-o", self.tap, *mark, "-j", "ACCEPT")),
        )


def tap_name(lab: str, state: Path) -> str:
    """Return a device name for a lab: the same for the same lab, another for every other."""
    return f"mlflab-{digest(f'{state}/{lab}')}"


def choose_subnet(pool: str, taken: Iterable[str]) -> Network:
    """Return the first /24 of `pool` that overlaps nothing in `taken`.

    :param taken: networks or addresses, as ``ip route`` prints them; what is no IPv4 network is skipped.
    :raises LabError: none is free.
    """
    used = []
    for text in taken:
        try:
            used.append(Network(text, strict=False))
        except ValueError:
            continue
    used = [network for network in used if network.prefixlen]  # the default route covers everything
    for candidate in Network(pool).subnets(new_prefix=24):
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    raise LabError(f"no free /24 in {pool}; set LAB_POOL to a network with room, or end labs with `lab down`")


def routed() -> list[str]:
    """Return what this machine routes, and its addresses."""
    routes = json.loads(run(["ip", "-4", "-json", "route", "show", "table", "all"]).stdout or "[]")
    links = json.loads(run(["ip", "-4", "-json", "address", "show"]).stdout or "[]")
    addresses = [f"{info['local']}/{info['prefixlen']}" for link in links for info in link.get("addr_info", [])]
    return [str(route.get("dst", "")) for route in routes] + addresses


def uplink_mtu() -> int:
    """Return the MTU of the way out, at most 1500: a guest's larger packets might not get through."""
    routes = json.loads(run(["ip", "-4", "-json", "route", "show", "default"]).stdout or "[]")
    for route in routes:
        path = Path("/sys/class/net") / str(route.get("dev")) / "mtu"
        if path.exists():
            return min(1500, int(path.read_text()))
    return 1500


def _iptables(table: str, action: str, chain: str, rule: tuple[str, ...]) -> bool:
    return not run(["iptables", "-w", "-t", table, action, chain, *rule], check=False).returncode


def is_up(network: LabNetwork) -> bool:
    """Tell whether the switch runs; without it no host of the lab has a network."""
    return network.socket.exists() and bool(processes.matching(network.switch_arguments))


def ensure(network: LabNetwork, log: Path) -> None:
    """Set up what is missing of the network.

    :raises LabError: the machine refuses.
    """
    private_directory(network.run)
    device = Path("/sys/class/net") / network.tap
    if not is_up(network):
        down(network)
    if not device.exists():
        run(["ip", "tuntap", "add", "dev", network.tap, "mode", "tap"])
    run(["ip", "address", "replace", f"{network.gateway}/{network.subnet.prefixlen}", "dev", network.tap])
    run(["ip", "link", "set", network.tap, "mtu", str(uplink_mtu()), "up"])
    if not is_up(network):
        argv = ["uml_switch", "-unix", str(network.socket), "-tap", network.tap]
        processes.detach(argv, log, os.environ, hold_stdin=True)
        deadline = time.monotonic() + 5
        while not is_up(network):
            if time.monotonic() > deadline:
                raise LabError(f"uml_switch did not start; see {log}")
            time.sleep(0.02)
    for table, chain, rule in network.rules:
        if not _iptables(table, "-C", chain, rule) and not _iptables(table, "-I", chain, rule):
            run(["iptables", "-w", "-t", table, "-I", chain, *rule])  # fails again, now with its message


def down(network: LabNetwork) -> None:
    """Remove all of the network that there is."""
    processes.kill(lambda: processes.matching(network.switch_arguments))
    network.socket.unlink(missing_ok=True)
    for table, chain, rule in network.rules:
        while _iptables(table, "-D", chain, rule):
            pass
    if (Path("/sys/class/net") / network.tap).exists():
        run(["ip", "link", "delete", network.tap])


def switch_forwarding_on(note: Path) -> None:
    """Let this machine route; `note` remembers that it didn't before."""
    if _FORWARD_SWITCH.read_text().strip() == "0":
        note.touch()
        _FORWARD_SWITCH.write_text("1\n")


def _docker_routes() -> bool:
    return bool(processes.matching(["dockerd"])) or Path("/sys/class/net/docker0").exists()


def switch_forwarding_back(note: Path) -> str | None:
    """Undo `switch_forwarding_on` after the last lab; return what to tell the user, if anything."""
    if not note.exists():
        return None
    note.unlink()
    if _docker_routes():
        return "IPv4 forwarding stays on: Docker uses it"
    _FORWARD_SWITCH.write_text("0\n")
    return None
