# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the server that was started after a move for artifacts that were moved, as a client does.

Source: MLflow's REST API, ``artifacts/list``; ``get-artifact`` is what its own pages download by.
"""

from __future__ import annotations

import bisect
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from ansible_collections.selfhosted.mlflow.plugins.module_utils import move_location
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Copied
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_LARGEST = 64 << 20
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Sample:
    """An artifact of a run: its ``path`` as the API names it, and what it has to be."""

    run_id: str
    path: str
    sha256: str


def access(environment: Mapping[str, str]) -> Access:
    """Return how this host reaches the server that an environment file describes."""
    given = environment.get("MLFLOW_HOST", "127.0.0.1")
    host = _WILDCARDS.get(given, given)
    port = environment.get("MLFLOW_PORT", "5000")
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    allowed = [
        name for name in environment.get("MLFLOW_SERVER_ALLOWED_HOSTS", "").split(",") if name and "*" not in name
    ]
    return Access(
        f"http://{netloc}{environment.get('MLFLOW_STATIC_PREFIX', '')}",
        # A name that clients use: the server refuses others.
        host_header="" if not allowed or netloc in allowed else allowed[0],
    )


def samples(runs: Iterable[tuple[str, str]], files: Mapping[str, Copied], root: Root, count: int) -> list[Sample]:
    """Return a file of each of so many runs, spread over all of those that have any.

    ``runs`` are their numbers and stored locations, ``files`` what was moved to ``root``, by its path below that.
    """
    paths = sorted(path for path, one in files.items() if one.sha256 and one.size <= _LARGEST)
    found = []
    for run_id, location in runs:
        inside = move_location.inside(location, root)
        if inside is None:
            continue
        directory = unquote(inside[1]).strip("/") + "/"
        place = bisect.bisect_left(paths, directory)
        if place < len(paths) and paths[place].startswith(directory):
            path = paths[place]
            found.append(Sample(run_id, path[len(directory) :], files[path].sha256))
    step = max(1, -(-len(found) // count)) if count else 1
    return found[::step][:count]


def ask(api: TrackingApi, sample: Sample) -> str:
    """Return what is wrong with an artifact as the server shows it, or ''.

    Raises ApiError where the server wants to know who asks.
    """
    what = f"{sample.path} of run {sample.run_id}"
    query = {"run_id": sample.run_id}
    directory = posixpath.dirname(sample.path)
    try:
        listed = api.get("api/2.0/mlflow/artifacts/list", {**query, **({"path": directory} if directory else {})})
        if sample.path not in [one.get("path") for one in listed.get("files", [])]:
            return f"the server does not list {what}"
        served = api.download("get-artifact", {"run_uuid": sample.run_id, "path": sample.path}, _LARGEST)
    except ApiError as error:
        if error.reason in ("unauthorized", "forbidden"):
            # Of a server with accounts; every artifact would be refused.
            raise
        return f"the server does not serve {what}: {error}"
    return "" if served.sha256 == sample.sha256 else f"the server serves other contents for {what}"
