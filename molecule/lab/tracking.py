"""What the server's REST API says of a run, asked without MLflow's own client.

The client's view proves nothing: with a local directory in the share's place it
lists files that the server never got.
"""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

_TIMEOUT = 30.0
# The hosts of a lab are always reached directly, whatever proxy this machine uses.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Run:
    """A run as the server knows it; ``metrics`` are the last values."""

    run_id: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]


def _opener(authority: str) -> urllib.request.OpenerDirector:
    if not authority:
        return _DIRECT
    context = ssl.create_default_context(cadata=authority)
    # They are reached by addresses, which their certificates don't name.
    context.check_hostname = False
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def _get(base_url: str, endpoint: str, query: dict[str, str], authority: str = "") -> dict[str, Any]:
    url = f"{base_url.rstrip('/')}/api/2.0/mlflow/{endpoint}?{urllib.parse.urlencode(query)}"
    with _opener(authority).open(url, timeout=_TIMEOUT) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def get_run(base_url: str, run_id: str, authority: str = "") -> Run:
    """Return the run, or raise urllib.error.HTTPError (404: the server has no such run).

    :param authority: certificates in PEM that the server's must be signed by, when it speaks TLS.
    """
    run = _get(base_url, "runs/get", {"run_id": run_id}, authority)["run"]
    data = run["data"]
    return Run(
        run_id=run["info"]["run_id"],
        status=run["info"]["status"],
        params={item["key"]: item["value"] for item in data.get("params", [])},
        metrics={item["key"]: item["value"] for item in data.get("metrics", [])},
    )


def list_artifacts(base_url: str, run_id: str, path: str = "", authority: str = "") -> dict[str, int]:
    """Return the size in bytes of each file of the run's artifacts, by its path, with all directories."""
    query = {"run_id": run_id, **({"path": path} if path else {})}
    sizes: dict[str, int] = {}
    for item in _get(base_url, "artifacts/list", query, authority).get("files", []):
        if item["is_dir"]:
            sizes.update(list_artifacts(base_url, run_id, item["path"], authority))
        else:
            sizes[item["path"]] = int(item.get("file_size", 0))
    return sizes


def search_experiments(base_url: str) -> list[str]:
    """Return the names of the experiments, which a server that only seems to answer can't tell.  Raises OSError."""
    found = _get(base_url, "experiments/search", {"max_results": "1000"}).get("experiments", [])
    return [experiment["name"] for experiment in found]
