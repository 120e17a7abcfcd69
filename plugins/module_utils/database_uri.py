# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which database addresses MLflow would take and then go wrong with.

Source: SQLAlchemy's "Database URLs"; SQLite's "How To Corrupt An SQLite Database File".
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_URI = re.compile(r"(?P<dialect>[a-z0-9]+)(\+(?P<driver>[a-z0-9_]+))?:(?P<rest>.*)")
#: The drivers in the role's locks, by SQLAlchemy's name of the database.
_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
_DIALECTS = frozenset((*_DRIVERS, "sqlite", "mssql"))
_EXAMPLE = "sqlite:////var/lib/mlflow/backend/mlflow.db (four slashes)"


def sqlite_path(rest: str) -> str:
    """Return the absolute path in what follows ``sqlite:``.

    Raises ValueError saying what SQLite would do instead.
    """
    path = rest.partition("?")[0]
    if path in ("", "//", "///", "///:memory:"):
        raise ValueError("it names no file, so that everything is gone at the next restart")
    if not path.startswith("////"):
        raise ValueError("it lacks a slash, so that the file would be relative to wherever the server starts")
    if path.startswith("/////"):
        raise ValueError("it has a slash too many")
    return path[3:]


def _sqlite(
    found: str,
    rest: str,
    root: artifact_root.Root,
    mounts: Sequence[mountinfo.MountEntry],
) -> list[Problem]:
    try:
        path = sqlite_path(rest)
    except ValueError as error:
        return [Problem(found, str(error), f"write the absolute path after three slashes: {_EXAMPLE}")]
    if path != posixpath.normpath(path):
        return [
            Problem(
                found, "the path has parts that lead back or nowhere", f"write sqlite:///{posixpath.normpath(path)}"
            )
        ]
    entry = mountinfo.covering(mounts, path)
    if root.mount_point and artifact_root.within(path, root.mount_point):
        where = f"the share that is mounted at {root.mount_point}"
    elif entry is not None and entry.is_network:
        where = f"{entry.fstype} from {entry.source}, mounted at {entry.mount_point}"
    elif len(root.path) > 1 and artifact_root.within(path, root.path):
        return [Problem(found, "whoever may write artifacts could write the database", f"keep it apart: {_EXAMPLE}")]
    else:
        return []
    why = f"the file would lie on {where}; SQLite's locks fail on network file systems, and the database is lost"
    return [Problem(found, why, f"keep it on a local disk: {_EXAMPLE}, or use PostgreSQL")]


def database_problems(
    name: str,
    uri: str,
    root: artifact_root.Root,
    mounts: Sequence[mountinfo.MountEntry],
    locked: bool,
) -> list[Problem]:
    """Return what is wrong with a database's address, given without its password.

    ``locked`` says that no packages but those of the role's locks are installed, so
    that only their database drivers are there.
    """
    found = f"{name} is {uri!r}"
    match = _URI.fullmatch(uri)
    if match is None or match["dialect"] not in _DIALECTS:
        return [
            Problem(
                found,
                "MLflow keeps runs in a database; its store in plain files is no longer maintained",
                f"write {_EXAMPLE}, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE",
            ),
        ]
    dialect, driver, rest = match["dialect"], match["driver"], match["rest"]
    if dialect == "sqlite":
        return _sqlite(found, rest, root, mounts)
    if not rest.startswith("//") or len(rest) == len("//"):
        return [
            Problem(found, "it names no host and no database", f"write {dialect}+DRIVER://USER:PASSWORD@HOST/DATABASE")
        ]
    wanted = _DRIVERS.get(dialect, "")
    instead = f"write {dialect}+{wanted}://…" if wanted else "add a driver to mlflow_server_extra_packages"
    if driver is None:
        why = "it names no driver, and which one SQLAlchemy chooses changes with its release"
        return [Problem(found, why, instead if wanted else f"write {dialect}+DRIVER://…")]
    if locked and driver != wanted:
        return [Problem(found, f"the driver {driver} is not among the locked packages", instead)]
    return []
