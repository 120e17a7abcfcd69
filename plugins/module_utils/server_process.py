# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that serves artifacts: who it is, and which directories it sees.

A container and a systemd unit have mount namespaces of their own, so that the host's
/mnt/mlflow need not be theirs.  /proc/PID/root leads into a process's own view and
/proc/PID/mountinfo lists it (proc(5)).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry

_COMMAND = "command:"
_IDS = re.compile(r"^(?P<name>Uid|Gid|Groups):\s*(?P<ids>[0-9 \t]*)$", re.MULTILINE)


class NotSeenError(Exception):
    """There is no such process, or it may not be looked into; the text says which.

    ``remedy`` says what to do, '' where the process has to be started or named.
    """

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


@dataclass(frozen=True)
class View:
    """What a process is and sees; ``root`` is a descriptor of its root directory."""

    pid: int
    identity: Identity
    mounts: tuple[MountEntry, ...]
    root: int


def parse_status(text: str) -> Identity:
    """Return the effective user, group and supplementary groups in /proc/PID/status.

    Raises ValueError when they aren't there.
    """
    found = {match["name"]: [int(part) for part in match["ids"].split()] for match in _IDS.finditer(text)}
    try:
        # The four numbers are real, effective, saved and file system.
        return Identity(found["Uid"][1], found["Gid"][1], tuple(found.get("Groups", ())))
    except (KeyError, IndexError):
        raise ValueError("no ids in the status of the process") from None


def _processes() -> Iterable[tuple[int, str]]:
    """Yield the number and the command line of every process but this one."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                command = stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if pid != os.getpid():
            yield pid, command


def _by_command(text: str) -> int:
    """Return the first of the processes whose command line has a text; they must share one mount namespace."""
    # The arguments of those who look for it, Ansible's among them, may hold the text as well.
    found = [
        (pid, os.readlink(f"/proc/{pid}/ns/mnt"))
        for pid, command in _processes()
        if text in command and "ansible" not in command.lower()
    ]
    if not found:
        raise NotSeenError(f"no process has {text!r} in its command line")
    if len({namespace for _pid, namespace in found}) > 1:
        shown = ", ".join(str(pid) for pid, _namespace in found)
        raise NotSeenError(
            f"the processes {shown} all have {text!r} in their command lines, and see different directories"
        )
    return found[0][0]


def _by_unit(unit: str, run: Runner) -> int:
    text = run(["systemctl", "show", "--property=MainPID", "--value", unit])[1].strip()
    if not text.isdigit() or int(text) == 0:
        raise NotSeenError(f"{unit} is not running")
    return int(text)


def find(process: str, run: Runner) -> int:
    """Return the number of the process that ``process`` names.

    It is a number, a systemd unit such as ``mlflow.service``, or ``command:TEXT`` for a text in its command line.
    Raises NotSeenError when there is none, ValueError when ``process`` is none of these.
    """
    if process.isdigit():
        return int(process)
    if process.startswith(_COMMAND) and process != _COMMAND:
        return _by_command(process[len(_COMMAND) :])
    if process.endswith(".service"):
        return _by_unit(process, run)
    raise ValueError(
        f"{process!r} names no process: write a unit such as mlflow.service, a number, or command:TEXT for a text "
        "in its command line"
    )


def look(pid: int) -> View:
    """Return what a process is and sees.  Raises NotSeenError."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            identity = parse_status(stream.read())
        root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return View(pid, identity, mountinfo.read(f"/proc/{pid}/mountinfo"), root)
    except PermissionError as error:
        # Which root lacks only where it is root of a container, ptrace(2).
        remedy = "give the container that Ansible connects to the capability SYS_PTRACE"
        raise NotSeenError(f"process {pid} can't be looked into: {error}", remedy) from error
    except (OSError, ValueError) as error:
        raise NotSeenError(f"process {pid} can't be looked into: {error}") from error


def on_host(path: str, inside: Iterable[MountEntry], outside: Iterable[MountEntry]) -> Optional[str]:
    """Return the host's path of a directory that a process knows as ``path``, None when the host shows it nowhere.

    A mount in both tables is the same when device and root directory are related: a container's bind mount shows the
    directory of the device that it binds.
    """
    entry = mountinfo.covering(inside, path)
    if entry is None:
        return None
    within = os.path.join(entry.root, os.path.relpath(path, entry.mount_point))
    best: Optional[MountEntry] = None
    for other in outside:
        covers = within == other.root or within.startswith(other.root.rstrip("/") + "/")
        if other.device == entry.device and covers and (best is None or len(other.root) > len(best.root)):
            best = other
    if best is None:
        return None
    return os.path.normpath(os.path.join(best.mount_point, os.path.relpath(within, best.root)))
