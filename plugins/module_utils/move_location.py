# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stored artifact location becomes when the artifact root moves.

Source: MLflow 3.17.2, ``mlflow.utils.file_utils.local_file_uri_to_path``, which undoes percent-encoding in plain
paths too, and ``mlflow.store.artifact.mlflow_artifacts_repo``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional
from urllib.parse import quote, unquote

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, artifact_uri

DIRECT = "direct"
PROXIED = "proxied"

_PROXY = re.compile(r"mlflow-artifacts:(?://(?P<host>[^/]*))?(?P<path>/.*)?", re.DOTALL)
_FILE = re.compile(r"(?P<head>file:(?://(?:localhost|127\.0\.0\.1|\.)?(?=/))?)(?P<path>/.*)", re.DOTALL)
#: What a path may hold and the path of a URI may not.
_NOT_IN_URI = re.compile(r"[%?#]")


@dataclass(frozen=True)
class Root:
    """Where artifacts lie: ``directory`` on the server's host, and whether clients reach it themselves.

    ``access`` is DIRECT: the directory's path is stored with every experiment; or PROXIED: ``mlflow-artifacts:/`` is.
    """

    access: str
    directory: str

    @property
    def text(self) -> str:
        """What locations in this root begin with."""
        return self.directory if self.access == DIRECT else "mlflow-artifacts:/"


class UnclearError(ValueError):
    """A location lies in the old root and can't be said in terms of the new one; the text says why."""


def _escaped(path: str) -> str:
    """Return a path as MLflow has to find it stored, for it undoes percent-encoding."""
    return path.replace("%", "%25")


def _rest(path: str, directory: str) -> Optional[str]:
    """Return what follows ``directory`` in a stored path, as it is written there; None when it lies elsewhere.

    '' for the directory itself, else it begins with a slash.
    """
    parts = path.split("/")
    if any(unquote(part) == ".." or "%2f" in part.lower() for part in parts):
        found = artifact_uri.parse(path).path
        inside = found and artifact_root.within(found, directory)
        return _escaped(found[len(directory) :]) if inside else None
    wanted = directory.strip("/").split("/")
    for index, part in enumerate(parts):
        if not wanted:
            return "/" + "/".join(parts[index:])
        if part not in ("", "."):
            if unquote(part) != wanted[0]:
                return None
            del wanted[0]
    return None if wanted else ""


def inside(value: str, root: Root) -> Optional[tuple[str, str]]:
    """Return how a stored location begins, '' or ``file:…``, and what it has after the root; None if it lies elsewhere.

    ``mlflow-artifacts://HOST/…`` names a server of its own and is elsewhere.
    """
    if root.access == PROXIED:
        match = _PROXY.fullmatch(value)
        return ("", match["path"] or "") if match and not match["host"] else None
    match = _FILE.fullmatch(value)
    head, path = (match["head"], match["path"]) if match else ("", value)
    rest = _rest(path, root.directory) if path.startswith("/") else None
    return None if rest is None else (head, rest)


def translate(value: str, source: Root, target: Root) -> Optional[str]:
    """Return the new location for a stored one, None when it doesn't lie in ``source``.

    Raises UnclearError.
    """
    found = inside(value, source)
    if found is None:
        return None
    head, rest = found
    if target.access == DIRECT:
        return head + (quote(target.directory) if head else _escaped(target.directory)) + rest
    plain = unquote(rest) if source.access == DIRECT else rest
    if source.access == DIRECT and _NOT_IN_URI.search(plain):
        raise UnclearError(f"{plain!r} has a character that the server's own addresses can't have: one of % ? #")
    return "mlflow-artifacts:" + (plain if plain.startswith("/") else "/" + plain)
