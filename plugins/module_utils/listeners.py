# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on a TCP port, from the kernel's tables.

Source: proc_pid_net(5), /proc/net/tcp and tcp6; proc_pid_fd(5); cgroups(7).
"""

from __future__ import annotations

import glob
import ipaddress
import os
import re
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Optional

_LISTEN = "0A"
_WILDCARDS = frozenset(("0.0.0.0", "::"))


@dataclass(frozen=True)
class Listener:
    """A listening socket; ``process`` and ``unit`` are '' where they can't be told, in containers mostly.

    ``uid`` is the number of the account that opened it, which the kernel tells everyone; ``holders`` are all processes
    that have it.
    """

    address: str
    port: int
    inode: str
    process: str = ""
    unit: str = ""
    uid: int = -1
    holders: frozenset[int] = frozenset()

    def blocks(self, address: str) -> bool:
        """Whether a server could not listen on ``address`` and the same port."""
        return self.address == address or bool({self.address, address} & _WILDCARDS)


def _address(text: str) -> str:
    """Decode the kernel's hexadecimal words, each in the host's byte order."""
    words = (bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8))
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(packed))


def parse(table: str) -> list[Listener]:
    """Return the listening sockets of the text of /proc/net/tcp or tcp6."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            address, _colon, port = fields[1].partition(":")
            found.append(Listener(_address(address), int(port, 16), fields[9], uid=int(fields[7])))
    return found


def unit_of(cgroup: str) -> str:
    """Return the systemd service in the text of /proc/PID/cgroup, or ''."""
    match = re.search(r"/([^/\n]+\.service)(/|$)", cgroup, re.MULTILINE)
    return match.group(1) if match else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _inodes(process: str) -> set[str]:
    try:
        targets = [_target(f"{process}/fd/{name}") for name in os.listdir(f"{process}/fd")]
    except OSError:
        return set()
    return {target[len("socket:[") : -1] for target in targets if target and target.startswith("socket:[")}


def _target(link: str) -> Optional[str]:
    try:
        return os.readlink(link)
    except OSError:
        return None


def name_owners(listeners: Collection[Listener], proc: str = "/proc") -> list[Listener]:
    """Return the listeners with the process that holds each; needs root for other users' ones."""
    wanted = {listener.inode for listener in listeners}
    owners: dict[str, tuple[str, str]] = {}
    holders: dict[str, set[int]] = {}
    for process in glob.glob(f"{proc}/[0-9]*") if wanted else ():
        for inode in _inodes(process) & wanted:
            name = f"{_read(f'{process}/comm').strip()} (process {os.path.basename(process)})"
            owners.setdefault(inode, (name, unit_of(_read(f"{process}/cgroup"))))
            holders.setdefault(inode, set()).add(int(os.path.basename(process)))
    named = ((one, *owners.get(one.inode, ("", ""))) for one in listeners)
    return [
        replace(one, process=process, unit=unit, holders=frozenset(holders.get(one.inode, ())))
        for one, process, unit in named
    ]


def on_port(port: int, proc: str = "/proc") -> list[Listener]:
    """Return who listens on a port."""
    tables: Iterable[str] = (_read(f"{proc}/net/tcp"), _read(f"{proc}/net/tcp6"))
    found = [listener for table in tables for listener in parse(table) if listener.port == port]
    return name_owners(found, proc)
