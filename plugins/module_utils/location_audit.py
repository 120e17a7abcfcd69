# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a tracking server where every experiment keeps its artifacts.

Seen on MLflow 3.17.2: a page has at most 50000 experiments; an account without permissions is answered 200
and ``{}``; one that is no administrator sees part of them and isn't told; runs/search finds the runs of
deleted experiments too.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import location_findings, stored_locations
from ansible_collections.selfhosted.mlflow.plugins.module_utils.location_findings import RUNS_COUNTED, Audit, Runs
from ansible_collections.selfhosted.mlflow.plugins.module_utils.stored_locations import Experiment, Group
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_API = "api/2.0/mlflow"
_PAGE = 1000
_MOST_EXPERIMENTS = 1000000
#: So many ids fit into one query of any database.
_IDS = 500
_EXAMPLES = 3


def _workspaces(api: TrackingApi) -> list[str]:
    """Return the names of the server's workspaces; '' alone where it has none (before 3.10, or not enabled)."""
    try:
        enabled = api.get("api/3.0/mlflow/server-info").get("workspaces_enabled", False)
    except ApiError as error:
        if error.name == "api_unreachable":
            raise
        enabled = False
    if not enabled:
        return [""]
    listed = api.get("api/3.0/mlflow/workspaces").get("workspaces", [])
    return [str(one["name"]) for one in listed if isinstance(one, dict) and one.get("name")]


def _within(api: TrackingApi, workspace: str) -> TrackingApi:
    return api.in_workspace(workspace) if workspace else api


def _experiments(api: TrackingApi, workspace: str) -> list[Experiment]:
    wanted = {"max_results": _PAGE, "view_type": "ALL"}
    path = f"{_API}/experiments/search"
    listed = _within(api, workspace).items(path, wanted, "experiments", _MOST_EXPERIMENTS)
    return [stored_locations.experiment(one, workspace) for one in listed]


def _administrator(api: TrackingApi) -> Optional[bool]:
    """Return whether the account is an administrator, None where the server doesn't tell."""
    username = api.access.username
    if not username:
        return None
    # The first is new in MLflow 3; a server without accounts has neither.
    for path, query in ((f"{_API}/users/current", None), (f"{_API}/users/get", {"username": username})):
        try:
            user = api.get(path, query).get("user")
        except ApiError as error:
            if error.name == "api_unreachable":
                raise
            continue
        if isinstance(user, dict) and isinstance(user.get("is_admin"), bool):
            return bool(user["is_admin"])
    return None


def refusal(api: TrackingApi) -> str:
    """Return why the server hands out no proxied artifacts, '' when it does."""
    try:
        api.get("api/2.0/mlflow-artifacts/artifacts", {"path": ""})
    except ApiError as error:
        return str(error)
    return ""


def _runs(api: TrackingApi, group: Group) -> Optional[Runs]:
    """Return the runs of a group, None when the server would not tell.  Stops when there are many."""
    of: Counter[str] = Counter()
    examples: list[str] = []
    try:
        for info in _run_infos(api, group.experiments):
            if sum(of.values()) >= RUNS_COUNTED:
                return Runs(RUNS_COUNTED, True, dict(of), tuple(examples))
            of[str(info.get("experiment_id", ""))] += 1
            if len(examples) < _EXAMPLES:
                examples.append(str(info.get("run_id", "")))
    except ApiError:
        return None
    return Runs(sum(of.values()), False, dict(of), tuple(examples))


def _run_infos(api: TrackingApi, experiments: Iterable[Experiment]) -> Iterator[dict[str, Any]]:
    for workspace, members in itertools.groupby(experiments, key=lambda one: one.workspace):
        numbers = [one.number for one in members]
        for start in range(0, len(numbers), _IDS):
            wanted = {"experiment_ids": numbers[start : start + _IDS], "run_view_type": "ALL", "max_results": _PAGE}
            for run in _within(api, workspace).items(f"{_API}/runs/search", wanted, "runs", RUNS_COUNTED + 1):
                info = run.get("info")
                yield info if isinstance(info, dict) else {}


def _counted(api: TrackingApi, groups: Iterable[Group]) -> dict[str, Runs]:
    """Return the runs of groups by their root, as far as the server told."""
    counts = {}
    for group in groups:
        runs = _runs(api, group)
        if runs is not None:
            counts[group.root] = runs
    return counts


def ask(api: TrackingApi, root: str, limit: int) -> Audit:
    """Ask for all that location_findings.judge() wants to know.  Raises ApiError when nothing can be known.

    Runs are counted for ``limit`` directories other than ``root``, and as many unusable locations.
    """
    experiments: list[Experiment] = []
    for workspace in _workspaces(api):
        experiments += _experiments(api, workspace)
    locations = stored_locations.group(experiments, [root])
    proving = location_findings.to_prove(locations, limit)[0]
    dead = [group for group in locations.elsewhere if not group.alive]
    return Audit(
        locations=locations,
        runs=_counted(api, [*proving, *itertools.islice(dead, limit), *locations.unusable[:limit]]),
        refusal=refusal(api) if locations.proxied else "",
        administrator=_administrator(api),
    )
