# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of Nomad's HTTP API that a job needs.  All raise nomad_errors.NomadError.

Source: Nomad's "HTTP API", "Jobs".
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi, segment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_deployment import Seen
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import CONTROL, NomadError

#: More than a screenful of log lines takes; Nomad counts from the end.
_LOG_BYTES = 32768
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "${": "$${", "%{": "%%{"}
_TO_ESCAPE = re.compile(r'\\|"|\$\{|%\{|[\x00-\x1f\x7f]')


def _literal(value: Any) -> str:
    """Return a value as HCL writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(str(key))} = {_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    text = _TO_ESCAPE.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04x}", str(value))
    return f'"{text}"'


def variables(values: Mapping[str, Any]) -> str:
    """Return a file of HCL variables.  Raises ValueError for a name that HCL doesn't know."""
    odd = next((name for name in values if not _IDENTIFIER.fullmatch(name)), None)
    if odd is not None:
        raise ValueError(f"variables has {odd!r}, which can't be the name of an HCL variable")
    return "".join(f"{name} = {_literal(value)}\n" for name, value in values.items())


def parse(api: NomadApi, text: str, values: str) -> dict[str, Any]:
    """Return what a job's HCL says, with nothing filled in that it doesn't say."""
    body = {"JobHCL": text, "Variables": values, "Canonicalize": False}
    job: dict[str, Any] = api.post("/v1/jobs/parse", body)
    return job


def place(api: NomadApi, job: dict[str, Any]) -> NomadApi:
    """Return the API for the namespace and region that a job is for; it is told those, too.

    Raises ValueError when the job itself says others than the API was given.
    """
    found: dict[str, Any] = {}
    for name, key in (("namespace", "Namespace"), ("region", "Region")):
        given, written = getattr(api.access, name), job.get(key) or ""
        if key == "Region" and written == "global":
            written = ""
        if given and written and given != written:
            raise ValueError(f"the job has {name} = {written!r}, and the option {name} is {given!r}: write one of them")
        found[name] = given or written
        if found[name]:
            job[key] = found[name]
    return NomadApi(replace(api.access, **found))


class JobApi:
    """The API as one job uses it."""

    def __init__(self, api: NomadApi, name: str) -> None:
        self.name = name
        self._api = api
        self._path = f"/v1/job/{segment(name)}"

    def validate(self, job: Mapping[str, Any]) -> tuple[list[str], str]:
        """Return what is wrong with a job, and what Nomad warns of or ''."""
        answer = self._api.post("/v1/validate/job", {"Job": job})
        errors = answer.get("ValidationErrors") or ([answer["Error"]] if answer.get("Error") else [])
        return [str(one) for one in errors], str(answer.get("Warnings") or "")

    def plan(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return what registering a job would do."""
        answer: dict[str, Any] = self._api.post(f"{self._path}/plan", {"Job": job, "Diff": True})
        return answer

    def register(self, job: Mapping[str, Any], index: int, submission: Mapping[str, str]) -> dict[str, Any]:
        """Register a job, unless somebody has changed it since ``index``."""
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": index, "Submission": submission}
        answer: dict[str, Any] = self._api.post("/v1/jobs", body)
        return answer

    def stop(self, purge: bool = False) -> dict[str, Any]:
        """Stop the job; ``purge`` makes Nomad forget it as well."""
        answer: dict[str, Any] = self._api.delete(self._path, {"purge": "true"} if purge else {})
        return answer

    def job(self) -> Optional[dict[str, Any]]:
        """Return the job as it is registered, None when it isn't."""
        try:
            found: dict[str, Any] = self._api.get(self._path)
        except NomadError as error:
            # An address that isn't Nomad's has no text of Nomad's either.
            if error.status == http.client.NOT_FOUND and "job not found" in error.text:
                return None
            raise
        return found

    def allocations(self) -> list[dict[str, Any]]:
        """Return the allocations, also those of a job of the same name that was purged."""
        return self._api.get(f"{self._path}/allocations", {"all": "true"}) or []

    def look(self) -> Seen:
        """Return all that is to be seen of the job."""
        job = self.job()
        if job is None:
            return Seen(None, allocations=self.allocations())
        return Seen(
            job,
            self._api.get(f"{self._path}/deployments") or [],
            self._api.get(f"{self._path}/evaluations") or [],
            self._api.get(f"{self._path}/allocations") or [],
        )

    def log(self, allocation: str, task: str, stream: str, lines: int) -> list[str]:
        """Return the last lines that a task wrote to ``stream``, or one that says why there are none."""
        query = {"task": task, "type": stream, "plain": "true", "origin": "end", "offset": str(_LOG_BYTES)}
        try:
            text = self._api.text(f"/v1/client/fs/logs/{segment(allocation)}", query)
        except NomadError as error:
            return [] if "not started yet" in error.text else [f"(no log: {error.text or error}; {error.remedy})"]
        if lines < 1:
            return []
        return [CONTROL.sub(" ", line.replace("\t", "    ")) for line in text.splitlines()[-lines:]]
