# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a token may do what a job with host volumes needs, before anything is done.

What would write is asked for an index that nothing has: Nomad looks at the rights first and at the index then
(nomad/job_endpoint.go, doRegister; nomad/variables_endpoint.go, Apply), so that it refuses either way, and nothing
is changed.  Policies aren't read, for most tokens may not, and what they mean is for Nomad to say.

Every function may raise nomad_errors.NomadError, for what is not a matter of rights.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_agent, nomad_job_api
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi, segment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_job_api import JobApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: An index that no job and no variable comes to.
_NEVER = 2**63 - 1
#: Of something that isn't there, or has another index.
_ANSWERED = (http.client.NOT_FOUND, http.client.CONFLICT)
_OF_RIGHTS = ("forbidden", "token", "disabled")


def _may(asked: Callable[[], Any], refusal: str = "") -> Optional[NomadError]:
    """Return the error of a call that isn't allowed; ``refusal`` is what Nomad says to one that is."""
    try:
        asked()
    except NomadError as error:
        if error.reason in _OF_RIGHTS:
            return error
        if error.status not in _ANSWERED and not (refusal and refusal in error.text):
            raise
    return None


def _problem(error: NomadError, what: str) -> Problem:
    return Problem(str(error), f"that is needed {what}", error.remedy)


def _volumes(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the host volumes that a job wants: its own name for each -> Nomad's."""
    groups = job.get("TaskGroups") or []
    found = [item for group in groups for item in (group.get("Volumes") or {}).items()]
    return {name: volume.get("Source") or name for name, volume in found if volume.get("Type") == "host"}


def _with(job: Mapping[str, Any], kept: str) -> dict[str, Any]:
    """Return a job with no other host volume than ``kept``."""

    def task(one: Mapping[str, Any]) -> dict[str, Any]:
        return {**one, "VolumeMounts": [it for it in one.get("VolumeMounts") or [] if it.get("Volume") == kept]}

    def group(one: Mapping[str, Any]) -> dict[str, Any]:
        volumes = {name: it for name, it in (one.get("Volumes") or {}).items() if name == kept}
        return {**one, "Volumes": volumes, "Tasks": [task(it) for it in one.get("Tasks") or []]}

    return {**job, "TaskGroups": [group(one) for one in job.get("TaskGroups") or []]}


def _register(api: JobApi, job: Mapping[str, Any], kept: str) -> Optional[NomadError]:
    nothing = {"Source": "", "Format": "hcl2"}
    return _may(lambda: api.register(_with(job, kept), _NEVER, nothing), "Enforcing job modify index")


def _namespace(nomad: NomadApi) -> Iterator[Problem]:
    """Yield that the namespace isn't there: to who may see all of them Nomad shows an empty one instead."""
    name = nomad.access.namespace
    try:
        if name not in ("", "default"):
            nomad.get(f"/v1/namespace/{segment(name)}")
    except NomadError as error:
        if error.status == http.client.NOT_FOUND:
            yield Problem(
                f"Nomad has no namespace {name}",
                "it takes no job for it",
                f"make it first (`nomad namespace apply {name}`), or name another",
            )
        elif error.reason not in _OF_RIGHTS:
            raise


def of_job(nomad: NomadApi, text: str) -> Iterator[Problem]:
    """Yield what keeps a token from registering the job whose HCL is ``text``, from seeing it, and from its logs.

    Also what Nomad itself objects to in the job.
    Raises ValueError when the job names another namespace or region than the API was given.
    """
    try:
        job = nomad_job_api.parse(nomad, text, "")
    except NomadError as error:
        if error.reason not in _OF_RIGHTS:
            raise
        yield _problem(error, "to have the job parsed")
        return
    nomad = nomad_job_api.place(nomad, job)
    yield from _namespace(nomad)
    api = JobApi(nomad, str(job.get("ID") or ""))
    unread = _may(api.job)
    if unread:
        yield _problem(unread, "to see whether the job is healthy")
    else:
        errors, _warning = api.validate(job)
        yield from (Problem(" ".join(one.split()), "Nomad does not take the job", "change this") for one in errors)
        if errors:
            return
    refused = list(_refused(api, job))
    yield from refused
    if not unread and not refused:
        yield from _logs(nomad, api)


def _refused(api: JobApi, job: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what keeps a token from registering a job: all of it, or one of its host volumes."""
    error = _register(api, job, "")
    if error:
        yield _problem(error, "to register the job")
        return
    for own, source in sorted(_volumes(job).items()):
        error = _register(api, job, own)
        if error:
            yield Problem(
                f'the token may not mount the host volume "{source}": {error}',
                "the job has it",
                f'its policies must have host_volume "{source}" {{ policy = "write" }}',
            )


def _logs(nomad: NomadApi, api: JobApi) -> Iterator[Problem]:
    """Yield what keeps a token from the logs, as far as there is an allocation that can be asked for its."""
    running = next((one["ID"] for one in api.allocations() if one["ClientStatus"] == "running"), None)
    if running is None:
        return
    # That there is no such task comes after the rights.
    query = {"task": "no task's name", "type": "stdout", "origin": "end"}
    error = _may(lambda: nomad.text(f"/v1/client/fs/logs/{segment(running)}", query), "unknown task name")
    if error:
        yield _problem(error, "to show what a failing task wrote")


def of_variable(nomad: NomadApi, path: str) -> Iterator[Problem]:
    """Yield what keeps a token from reading or writing a Nomad variable."""
    address = f"/v1/var/{'/'.join(map(segment, path.split('/')))}"
    body = {"Path": path, "Items": {"nothing": "nothing"}}
    error = _may(lambda: nomad.get(address)) or _may(lambda: nomad.put(address, body, {"cas": str(_NEVER)}))
    if error:
        yield Problem(
            f"the token may not read and write the Nomad variable {path}: {error}",
            "the server's secrets are kept there",
            f'its policies must have namespace "{nomad.access.namespace or "default"}" '
            f'{{ variables {{ path "{path}" {{ capabilities = ["read", "write"] }} }} }}',
        )


def of_node(nomad: NomadApi) -> tuple[str, list[Problem]]:
    """Return the id of the agent's own node, '' when it can't be had, and what keeps a token from seeing it."""
    try:
        return str(nomad_agent.own_node(nomad)["ID"]), []
    except NomadError as error:
        if error.reason not in _OF_RIGHTS:
            raise
        return "", [_problem(error, "to see whether the node has its host volumes")]
