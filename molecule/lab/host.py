# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: a user-mode Linux process with a disk of its own."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from lab import kernel, processes
from lab.base import LabError, Progress, digest, run
from lab.state import Host, Lab

BOOT_SECONDS = 180


def arguments(lab: Lab, host: Host) -> tuple[str, ...]:
    """The arguments that tell this host's processes from all others."""
    return (f"umid={host.name}", f"uml_dir={lab.network.run}")


def _disk(lab: Lab, host: Host) -> Path:
    return lab.directory / f"{host.name}.cow"


def _console(lab: Lab, host: Host) -> Path:
    return lab.directory / f"{host.name}.console"


def _has_booted(lab: Lab, host: Host) -> Path:
    return lab.directory / f"{host.name}.booted"


def command(lab: Lab, host: Host) -> list[str]:
    """Return the command line that boots a host."""
    return [
        "linux.uml",
        *arguments(lab, host),
        f"mem={host.memory_mb}M",
        f"ubd0={_disk(lab, host)},{host.base}",
        f"ubd1r={lab.directory / host.name}.tar",
        f"eth0=daemon,{mac_address(host.address)},unix,{lab.network.socket}",
        "root=/dev/ubda", "rw", "rootfstype=ext4",
        "con=null", "con0=null,fd:1", "con1=null", "quiet",
        "security=none",
        f"systemd.hostname={host.name}",
        f"systemd.machine_id={digest(f'{lab.directory}/{host.name}', 32)}",
        "net.ifnames=0",
    ]  # fmt: skip


def mac_address(address: str) -> str:
    """Return a locally administered MAC address that follows from the IPv4 address."""
    return "02:ab:" + ":".join(f"{int(number):02x}" for number in address.split("."))


def is_running(lab: Lab, host: Host) -> bool:
    """Tell whether the host has power."""
    return bool(processes.matching(arguments(lab, host)))


def start(lab: Lab, host: Host, cache: Path) -> None:
    """Switch a host on; its disk is made where absent."""
    if not _has_booted(lab, host).exists():
        _disk(lab, host).unlink(missing_ok=True)  # a crash may have left half a disk
    log = _console(lab, host)
    log.unlink(missing_ok=True)
    processes.detach(command(lab, host), log, kernel.environment(cache, host.memory_mb))


def cut_power(lab: Lab, host: Host) -> bool:
    """Kill a host at once; what it wrote to its disk stays. Tell whether it was running."""
    run([*ssh_command(lab), "-O", "exit", host.name], check=False)
    return processes.kill(lambda: processes.matching(arguments(lab, host)))


def ssh_command(lab: Lab) -> list[str]:
    """Return the words that call ssh for hosts of a lab."""
    return ["ssh", "-F", str(lab.directory / "ssh_config")]


def allows_login(lab: Lab, host: Host) -> bool:
    """Tell whether a command can be run on the host, over a connection of its own."""
    options = ["-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=5"]
    return not run([*ssh_command(lab), *options, host.name, "true"], check=False, timeout=60).returncode


def answers(host: Host, seconds: float = 2) -> bool:
    """Tell whether sshd greets on the host's address."""
    try:
        with socket.create_connection((host.address, 22), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait(lab: Lab, hosts: Sequence[Host], progress: Progress) -> None:
    """Wait until one can log in to all of `hosts`.

    :raises LabError: one died, or they took longer than BOOT_SECONDS.
    """
    deadline = time.monotonic() + BOOT_SECONDS
    pending = list(hosts)
    while pending:
        for host in list(pending):
            if answers(host) and allows_login(lab, host):
                _has_booted(lab, host).touch()
                pending.remove(host)
                progress(f"{host.name} is up at {host.address}")
            elif not is_running(lab, host):
                log = _console(lab, host)
                raise LabError(f"host {host.name} died while booting; the end of {log}:\n{_tail(log)}")
        if pending and time.monotonic() > deadline:
            names = ", ".join(host.name for host in pending)
            raise LabError(f"no login to {names} after {BOOT_SECONDS} s; see {lab.directory}/*.console")
        time.sleep(0.2)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no output)"
