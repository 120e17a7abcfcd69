# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which paths can be the artifact root.

MLflow stores it, as it is written, with every experiment it creates, and changing it
later moves nothing: so a root that is merely odd is refused before the first start.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Characters that mean something to a unit file, a shell or a list of paths are left out.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9._+@=/-]*")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(//(?P<host>[^/]*))?(?P<path>.*)")
#: The unit has an own, empty one of the first two; the others are the system's.
_UNUSABLE = ("/tmp", "/var/tmp", "/dev", "/proc", "/sys", "/run", "/etc", "/usr", "/bin", "/boot", "/lib", "/sbin")


@dataclass(frozen=True)
class Root:
    """The wished root: ``mount_point`` is '' when it isn't declared to lie on a mount.

    ``clients`` are the hosts that write artifacts, other than the server.  ``store`` is the address of a store that
    is none of its directories, and used in its place.
    """

    path: str
    access: str
    mount_point: str = ""
    clients: tuple[str, ...] = ()
    store: str = ""


def within(path: str, directory: str) -> bool:
    """Return whether a path is a directory or lies below it, as text."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def system_place(path: str) -> Optional[str]:
    """Return the directory of the system's that a path is or lies in, if it does."""
    return next((one for one in _UNUSABLE if within(path, one)), "/" if path == "/" else None)


def path_problem(name: str, path: str) -> Optional[Problem]:
    """Return what keeps the input ``name`` from being an absolute path that stays what it is."""
    found = f"{name} is {path!r}"
    if not path.startswith("/"):
        return Problem(
            found,
            "it is not absolute, so its meaning would depend on who reads it, and in which directory",
            "write the whole path from the root directory on, such as /srv/mlflow",
        )
    if not _SAFE_PATH.fullmatch(path):
        return Problem(
            found,
            "it has characters that unit files or environment files read as something else",
            "use letters, digits and . _ + @ = - only",
        )
    if path != posixpath.normpath(path) or path.startswith("//"):
        return Problem(
            found,
            "the same directory can be written shorter, and texts that differ count as different places",
            f"write {posixpath.normpath('/' + path.lstrip('/'))}",
        )
    return None


def _spelling(root: Root) -> Optional[Problem]:
    found = f"mlflow_server_artifact_root is {root.path!r}"
    scheme = _SCHEME.fullmatch(root.path)
    if scheme and scheme["scheme"].lower() == "file":
        host = scheme["host"]
        if host and host != "localhost":
            why = f"MLflow does not fetch from the host {host!r}: it answers such an address with an error"
        else:
            why = "MLflow would keep this spelling in every experiment, and it compares as text"
        return Problem(found, why, f"write the path alone: {scheme['path'] or '/srv/mlflow/artifacts'}")
    if scheme:
        return Problem(
            found,
            "this role keeps artifacts in a directory that server and clients share, or on the server's disk",
            "write an absolute path such as /srv/mlflow/artifacts, or any other store as mlflow_artifact_store.uri",
        )
    return path_problem("mlflow_server_artifact_root", root.path)


def _place(root: Root, own: dict[str, str]) -> Iterator[Problem]:
    found = f"mlflow_server_artifact_root is {root.path}"
    instead = "give the artifacts a directory of their own, such as /srv/mlflow/artifacts"
    system = system_place(root.path)
    if system:
        yield Problem(found, f"{system} is the system's, or private to each service", instead)
        return
    for name, directory in own.items():
        if within(root.path, directory):
            yield Problem(
                found,
                f"it lies in {name} ({directory}), which only the service may enter, and clients must reach artifacts",
                instead,
            )
        elif within(directory, root.path):
            yield Problem(
                found,
                f"it holds {name} ({directory}), so that whoever may write artifacts could write there",
                instead,
            )


def _sharing(root: Root, mounts: Sequence[mountinfo.MountEntry]) -> Iterator[Problem]:
    if root.mount_point:
        problem = path_problem("mlflow_server_artifact_mount_point", root.mount_point)
        if problem:
            yield problem
        elif not within(root.path, root.mount_point):
            yield Problem(
                f"mlflow_server_artifact_mount_point is {root.mount_point}",
                f"the artifact root {root.path} does not lie on it, so that checking the mount would prove nothing",
                "name the mount point that holds mlflow_server_artifact_root, or leave it out",
            )
    elif root.access == "direct" and root.clients:
        entry = mountinfo.covering(mounts, root.path)
        if not (mountinfo.at(mounts, root.path) or (entry and entry.is_network)):
            yield Problem(
                f"mlflow_server_artifact_access is direct, the clients are {', '.join(root.clients)}, "
                f"and {root.path} is a local directory",
                "what clients write into their own directory of that name never reaches the server, "
                "and MLflow reports no error",
                "set mlflow_nfs_share, or mlflow_server_artifact_mount_point for a share of your own, "
                "or mlflow_artifact_access: proxied",
            )


def judge(
    root: Root,
    own_directories: dict[str, str],
    mounts: Sequence[mountinfo.MountEntry],
    symlink: Optional[tuple[str, str]],
    is_other_file: bool,
) -> list[Problem]:
    """Return what is wrong with an artifact root on this host.

    ``own_directories`` are paths by the name of their input, ``symlink`` the first
    symbolic link on the way to the root and its target, ``is_other_file`` whether the
    root exists and is no directory.
    """
    if root.store:
        return []
    spelling = _spelling(root)
    if spelling:
        return [spelling]
    problems = [*_place(root, own_directories), *_sharing(root, mounts)]
    if symlink:
        link, target = symlink
        problems.append(
            Problem(
                f"{link}, on the way to mlflow_server_artifact_root {root.path}, is a symbolic link to {target}",
                "MLflow stores the path as written, and each host would follow a link of its own",
                "write the directory that is meant, on every host the same, or mount it there",
            ),
        )
    if is_other_file:
        problems.append(
            Problem(
                f"{root.path} (mlflow_server_artifact_root) exists and is not a directory",
                "artifacts are kept in directories below it",
                "move it away, or choose another path",
            ),
        )
    return problems


def components(path: str, mounts: Collection[mountinfo.MountEntry]) -> list[str]:
    """Return a path and its parents, from the top, as far as no network file system is entered.

    Looking at more could hang on a server that is dead.
    """
    parts = [part for part in path.split("/") if part]
    prefixes = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
    local = []
    for prefix in prefixes:
        entry = mountinfo.covering(mounts, prefix)
        if entry is not None and entry.is_network:
            break
        local.append(prefix)
    return local
