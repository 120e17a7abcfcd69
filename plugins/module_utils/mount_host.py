# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a host about a mount point, and act on it; no question may hang."""

from __future__ import annotations

import dataclasses
import errno
import functools
import os
import socket
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    bare_directory,
    bounded,
    mountinfo,
    name_service,
    nfs_mount,
    nfs_share,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bare_directory import BareDirectory
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nfs_mount import Evidence, Wish

#: Runs a program given as a list of arguments, and returns its output.
Runner = Callable[[list[str]], str]

_UNITS = "/etc/systemd/system"
_NFS_PORT = 2049
_LOCAL_SECONDS = 10.0
_CONNECT_SECONDS = 3.0
_SHOWN_USERS = 5


@dataclass(frozen=True)
class NotThere:
    """Why the share has not arrived; ``final`` when waiting won't help."""

    reason: str
    final: bool = False


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def look_beneath(path: str, work: Callable[[str], BareDirectory]) -> BareDirectory:
    """Do ``work`` on the bare directory at ``path``, also when something is mounted on it.

    Raises OSError, ValueError or NoAnswerError.
    """
    if mountinfo.at(mountinfo.read(), path) is None:
        task = functools.partial(work, path)
    else:
        task = functools.partial(bare_directory.beneath, path, work)
    found = bounded.run(lambda: dataclasses.asdict(task()), _LOCAL_SECONDS)
    return BareDirectory(**{**found, "names": tuple(found["names"])})


def _resolve(source: str) -> frozenset[str]:
    try:
        return name_service.addresses(nfs_share.parse(source).host)
    except ValueError:
        return frozenset()


def gather(wish: Wish) -> Evidence:
    """Return the evidence about a mount point; the share itself is not touched."""
    bare, bare_error = None, ""
    try:
        bare = look_beneath(wish.path, bare_directory.inspect) if wish.path.startswith("/") else None
    except (OSError, ValueError, NoAnswerError) as error:
        bare_error = str(error)
    addresses = _resolve(wish.source)
    return Evidence(
        mounts=tuple(entry for entry in mountinfo.read() if entry.mount_point == wish.path),
        bare=bare,
        bare_error=bare_error,
        fstab=nfs_mount.fstab_source(_read("/etc/fstab"), wish.path),
        unit_text=_read(f"{_UNITS}/{nfs_mount.unit_name(wish.path)}"),
        automount_text=_read(f"{_UNITS}/{nfs_mount.unit_name(wish.path, 'automount')}"),
        addresses=addresses,
        source_is_here=any(name_service.is_here(address) for address in addresses),
        systemd=os.path.isdir("/run/systemd/system"),
    )


def _port_report(host: str) -> str:
    """Say what a connection to the NFS port meets."""
    try:
        with socket.create_connection((host, _NFS_PORT), timeout=_CONNECT_SECONDS):
            return f"port {_NFS_PORT}/tcp of {host} is open"
    except socket.gaierror:
        return f"the name {host} is not known here"
    except ConnectionRefusedError:
        return f"port {_NFS_PORT}/tcp of {host} refuses: the NFS server is not running (systemctl status nfs-server)"
    except OSError as error:
        return f"port {_NFS_PORT}/tcp of {host} does not answer ({error}): host down, or a firewall drops it"


def tell(wish: Wish, reason: str) -> str:
    """Return a reason together with what to look at; asks the NFS port for 3 seconds at most."""
    share = nfs_share.parse(wish.source)
    return (
        f"{reason}.\n"
        f"    found: {_port_report(share.host)}.\n"
        f"    check: on {share.host} 'systemctl status nfs-server' and 'exportfs -v' (is {share.path} exported "
        f"to this host?); a firewall between (tcp {_NFS_PORT}); here 'systemctl status "
        f"{nfs_mount.unit_name(wish.path)}'."
    )


def liveness(wish: Wish, seconds: float) -> Optional[str]:
    """Return None when the file system at the mount point answers, else the reason it is useless."""
    try:
        bounded.run(lambda: os.statvfs(wish.path).f_bsize, seconds)
    except NoAnswerError as error:
        return f"{wish.source}, mounted at {wish.path}, gives {error}"
    except OSError as error:
        stale = "; a stale handle goes away with a new mount" if error.errno == errno.ESTALE else ""
        return f"{wish.source}, mounted at {wish.path}, answers '{error.strerror}'{stale}"
    return None


def _gave_up(unit: str, run: Runner) -> bool:
    """Whether the unit has failed and no job is about to try again."""
    shown = run(["systemctl", "show", "--property=ActiveState,Job", unit]).splitlines()
    return "ActiveState=failed" in shown and not any(line.startswith("Job=") and line != "Job=" for line in shown)


def _unit_report(wish: Wish, run: Runner) -> str:
    """Return the state of the unit, and what the mount program said last about this share."""
    unit = nfs_mount.unit_name(wish.path)
    state = run(["systemctl", "show", "--value", "--property=ActiveState", unit]).strip()
    journal = run(["journalctl", "--unit", unit, "--lines=20", "--output=cat", "--no-pager", "--boot"])
    said = [line for line in journal.splitlines() if line.startswith("mount") and wish.source in line]
    return f"unit {unit} is {state or 'unknown'}" + (f" and said '{said[-1]}'" if said else "")


def not_arrived(wish: Wish, seconds: float, run: Runner) -> Optional[NotThere]:
    """Return None when a share is mounted and answers, else why not (yet)."""
    if wish.automount:
        # Opening the directory is what makes systemd mount.
        try:
            bounded.run(lambda: len(os.listdir(wish.path)), seconds)
        except PermissionError:
            pass
        except (OSError, NoAnswerError) as error:
            return NotThere(
                f"{wish.source} did not come at {wish.path}: {error}; {_unit_report(wish, run)}", final=True
            )
    entry = mountinfo.at(mountinfo.read(), wish.path)
    if entry is None or not entry.is_network:
        reason = f"{wish.source} is not mounted at {wish.path}: {_unit_report(wish, run)}"
        return NotThere(reason, final=_gave_up(nfs_mount.unit_name(wish.path), run))
    silence = liveness(wish, seconds)
    return NotThere(silence, final=True) if silence else None


def _users(path: str) -> list[str]:
    """Return some processes that work in a directory or have files of it open."""
    found = []
    inside = f"{path}/"
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            descriptors = [f"/proc/{pid}/fd/{name}" for name in os.listdir(f"/proc/{pid}/fd")]
            links = [os.readlink(link) for link in (f"/proc/{pid}/cwd", f"/proc/{pid}/root", *descriptors)]
        except OSError:
            continue
        if any(f"{link}/".startswith(inside) for link in links):
            found.append(f"{_read(f'/proc/{pid}/comm').strip()} ({pid})")
    return found[:_SHOWN_USERS]


def unmount(path: str) -> None:
    """Take off what is mounted at ``path``.  Raises OSError, ValueError or NoAnswerError."""
    bounded.run(lambda: bare_directory.unmount(path), _LOCAL_SECONDS)


def explain(wish: Wish, error: Exception) -> str:
    """Say why the mount point could not be changed."""
    if isinstance(error, OSError) and error.errno == errno.EBUSY:
        users = ", ".join(_users(wish.path)) or "a process of another namespace, or a mount below it"
        return f"{wish.path} can't be unmounted, it is used by: {users}. Stop that first."
    return f"{wish.path} could not be made ready: {error}"
