# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait for probes as long as there is hope, and say why there is none.

A file server that is down refuses connections or leaves them unanswered, so a probe that
hangs while the port is closed is given up early: twenty clients then end in time, too.
One that still answers some calls may be in its grace period, for which it pays to wait.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Child, NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Failure, Silence, failure

#: Seconds after which a call that has not come back is reason to ask the file server's port.
PATIENCE = 3.0
_CONNECT_SECONDS = 3.0
_NFS_PORT = 2049

OPEN = "open"
REFUSED = "refused"
UNANSWERED = "unanswered"
UNKNOWN_NAME = "unknown name"


@dataclass(frozen=True)
class FileServer:
    """Where the files behind an NFS mount are served."""

    host: str
    port: int = _NFS_PORT
    has_grace: bool = False


def file_server(mount: Optional[MountEntry]) -> Optional[FileServer]:
    """Return the server of an NFS mount over TCP, nfs(5), or None for anything else."""
    if mount is None or mount.fstype not in ("nfs", "nfs4"):
        return None
    options = dict(option.partition("=")[::2] for option in (*mount.options, *mount.super_options))
    if options.get("proto", "tcp") not in ("tcp", "tcp6"):
        return None
    try:
        host = options.get("addr") or nfs_share.parse(mount.source).host
    except ValueError:
        return None
    port = options.get("port", "0")
    # Before version 4 opening a file asks the server for no state, so there is nothing to wait for.
    has_grace = mount.fstype == "nfs4" or options.get("vers", "").startswith("4")
    return FileServer(host, int(port) if port.isdigit() and int(port) else _NFS_PORT, has_grace)


def port_state(server: FileServer) -> str:
    """Return what a connection to a file server meets, after three seconds at most."""
    try:
        with socket.create_connection((server.host, server.port), timeout=_CONNECT_SECONDS):
            return OPEN
    except ConnectionRefusedError:
        return REFUSED
    except socket.gaierror:
        return UNKNOWN_NAME
    except OSError:
        return UNANSWERED


@dataclass(frozen=True)
class Limits:
    """Seconds: ``timeout`` for everything, ``grace`` more for a server that answers some calls but not all."""

    timeout: float
    grace: float = 0.0


#: The step that a server in its grace period still answers.
_STATELESS = "statvfs"


@dataclass(frozen=True)
class Probe:
    """A child at work on a path, and who serves the path's files, None when that isn't known."""

    child: Child
    server: Optional[FileServer] = None

    @property
    def answered(self) -> Sequence[str]:
        """The steps that have come back."""
        answered: Sequence[str] = self.child.told.get("answered", ())
        return answered


def _silence(probe: Probe, began: float, port: str) -> dict[str, Any]:
    silence = Silence(
        step=probe.child.told.get("step", "stat"),
        seconds=round(time.monotonic() - began, 1),
        state=probe.child.state(),
        port=port,
        answered=tuple(probe.answered),
    )
    probe.child.abandon()
    return {"silence": asdict(silence)}


def _end(child: Child) -> dict[str, Any]:
    """Return how a child ended: nothing to say, or what stopped it where no step was expected to."""
    step = child.told.get("step", "stat")
    try:
        child.result()
    except OSError as error:
        return {"failure": asdict(failure(step, error, error.filename or ""))}
    except (ValueError, NoAnswerError) as error:
        return {"failure": asdict(Failure(step, str(error)))}
    return {}


def _hope(probe: Probe, port: str, limits: Limits) -> float:
    """Return after how many seconds in all to give a probe up."""
    if probe.server is None or not port:
        return limits.timeout
    if port != OPEN:
        return 0.0
    in_grace = probe.server.has_grace and _STATELESS in probe.answered
    return limits.timeout + (limits.grace if in_grace else 0.0)


def _wait(probe: Probe, port: str, began: float, limits: Limits) -> bool:
    """Return whether a probe has ended, after waiting as long as there is hope."""
    while not probe.child.wait(max(0.0, began + _hope(probe, port, limits) - time.monotonic())):
        # Hope may have grown while it lasted: the server has answered another call.
        if time.monotonic() >= began + _hope(probe, port, limits):
            return False
    return True


def _seen(probe: Probe, port: str, began: float, limits: Limits) -> dict[str, Any]:
    if not _wait(probe, port, began, limits):
        return {**probe.child.told, **_silence(probe, began, port)}
    seconds = time.monotonic() - began
    waited = {"waited": round(seconds, 1)} if seconds > limits.timeout else {}
    return {**probe.child.told, **_end(probe.child), **waited}


def follow(probes: Sequence[Probe], limits: Limits) -> list[dict[str, Any]]:
    """Wait for all probes together, and return what each has told, with its silence if it never ended."""
    began = time.monotonic()
    deadline = began + min(PATIENCE, limits.timeout)
    ended = [probe.child.wait(max(0.0, deadline - time.monotonic())) for probe in probes]
    silent = {probe.server for probe, has_ended in zip(probes, ended) if not has_ended and probe.server}
    ports = {server: port_state(server) for server in silent}
    seen = [_seen(probe, ports.get(probe.server, "") if probe.server else "", began, limits) for probe in probes]
    return [{name: value for name, value in one.items() if name not in ("step", "answered")} for one in seen]
