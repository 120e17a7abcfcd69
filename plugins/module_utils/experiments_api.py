# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's experiments by its REST API, of the releases 2.22.5, 3.1.4 and 3.17.2.

Every method raises tracking_errors.ApiError.

Source: MLflow's "REST API", mlflow/server/handlers.py and mlflow/store/artifact/host_policy.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri, location_audit, tracking_errors
from ansible_collections.selfhosted.mlflow.plugins.module_utils import experiments_plan as plans
from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiments_plan import Found, Present, Step, Wished
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_API = "api/2.0/mlflow/experiments"
_UNKNOWN = "RESOURCE_DOES_NOT_EXIST"
#: The newest release that is known to take no longer value of a tag than that.
_OLD = (3, 1)
_OLD_VALUE = 5000
_OTHER_HOST = "addresses a host other than"


@dataclass(frozen=True)
class Experiments:
    """The experiments of one server."""

    api: TrackingApi

    def find(self, name: str) -> Optional[Found]:
        """Return the experiment that the server has by a name, deleted or not, None for none."""
        try:
            listed = self.api.get(f"{_API}/get-by-name", {"experiment_name": name}).get("experiment")
        except ApiError as error:
            if error.code != _UNKNOWN:
                raise
            return None
        if not isinstance(listed, dict) or not {"experiment_id", "name"} <= set(listed):
            raise tracking_errors.strange(f"{self.api.base}/{_API}/get-by-name", "it has no experiment in it")
        return Found(
            number=str(listed["experiment_id"]),
            name=str(listed["name"]),
            location=str(listed.get("artifact_location") or ""),
            deleted=listed.get("lifecycle_stage") == "deleted",
            tags={str(tag["key"]): str(tag.get("value", "")) for tag in listed.get("tags", [])},
        )

    def present(self, names: Iterable[str]) -> Present:
        """Return what the server has, by the name that it was asked for."""
        found = {name: self.find(name) for name in names}
        return {name: one for name, one in found.items() if one is not None}

    def lacking(self, wished: Sequence[Wished], steps: Sequence[Step]) -> list[Problem]:
        """Return what this server can't do of what is to be done."""
        problems = []
        proxied = [one for one in steps if artifact_uri.parse(one.location).kind == artifact_uri.PROXIED]
        refusal = location_audit.refusal(self.api) if proxied else ""
        if refusal:
            problems.append(
                Problem(
                    f"the artifact_location of {proxied[0].name!r} is {proxied[0].location}, and the server serves no "
                    f"artifacts: {refusal}",
                    "nobody could read or write them",
                    "set mlflow_artifact_access: proxied, or leave artifact_location out",
                )
            )
        dropped = [one for one in steps if one.action == plans.DELETE_TAG]
        if dropped and not self._deletes_tags():
            problems.append(
                Problem(
                    f"the tag {dropped[0].key!r} of {dropped[0].name!r} is to be purged, and this server can't delete one",
                    "releases such as 3.1.4 and older have no call for it",
                    f"leave purge_tags out, empty the tag by `{dropped[0].key}: ''`, or upgrade to such as 3.17.2",
                )
            )
        long = [(one.name, key) for one in wished for key, value in one.tags.items() if len(value) > _OLD_VALUE]
        if long and self._is_old():
            problems.append(
                Problem(
                    f"the tag {long[0][1]!r} of {long[0][0]!r} has more than {_OLD_VALUE} characters",
                    "this server's release takes no more",
                    "shorten it, or upgrade to such as 3.17.2",
                )
            )
        return problems

    def _is_old(self) -> bool:
        """Return whether the release is known to be one of the old ones."""
        numbers = tuple(int(number) for number in re.findall(r"\d+", self.api.version())[:2])
        return bool(numbers) and numbers <= _OLD

    def _deletes_tags(self) -> bool:
        """Return whether there is a call that deletes a tag, by asking for one without saying which."""
        try:
            self.api.post(f"{_API}/delete-experiment-tag", {"experiment_id": "0", "key": ""})
        except ApiError as error:
            return error.reason != "not_found"
        return True

    def do(self, step: Step) -> None:
        """Make one change."""
        number = {"experiment_id": step.number}
        does: dict[str, Callable[[], object]] = {
            plans.CREATE: lambda: self._create(step),
            plans.RESTORE: lambda: self.api.post(f"{_API}/restore", number),
            plans.SET_TAG: lambda: self.api.post(
                f"{_API}/set-experiment-tag", {**number, "key": step.key, "value": step.value}
            ),
            plans.DELETE_TAG: lambda: self.api.post(f"{_API}/delete-experiment-tag", {**number, "key": step.key}),
            plans.DELETE: lambda: self.api.post(f"{_API}/delete", number),
        }
        does[step.action]()

    def _create(self, step: Step) -> None:
        tags = [{"key": key, "value": value} for key, value in sorted(step.tags.items())]
        body = {"name": step.name, **({"artifact_location": step.location} if step.location else {}), "tags": tags}
        try:
            self.api.post(f"{_API}/create", body)
        except ApiError as error:
            if _OTHER_HOST not in str(error):
                raise
            scheme = artifact_uri.parse(step.location).scheme
            raise ApiError(
                "api_refused",
                "other_host",
                f"the server refuses the artifact_location {artifact_uri.parse(step.location).shown} of {step.name!r}: it "
                "would have to connect to a host that is not its own store's",
                "if that host may be trusted, add MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES: "
                f"{scheme} to mlflow_server_environment",
                error.code,
            ) from None
