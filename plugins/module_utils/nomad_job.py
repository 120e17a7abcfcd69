# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Register a job in Nomad and see it become healthy, or stop it.

Every function may raise nomad_errors.NomadError, and ValueError for what the caller wrote.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    nomad_deployment,
    nomad_job_api,
    nomad_plan,
    nomad_result,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_deployment import (
    BAD,
    GOOD,
    PROMOTION,
    RUNS,
    UNPLACED,
    WAIT,
    Seen,
    Verdict,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_job_api import JobApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_result import Result, Wish

POLL_SECONDS = 1.0
#: How long a verdict has to last: a node's agent that was just restarted takes a moment to be back with its
#: volumes and drivers, and a task that crashes runs for a moment.
PATIENCE = {UNPLACED: 10.0, RUNS: 10.0}
#: For going back to the older version, where less is left of the time.
ROLLBACK_SECONDS = 30.0


def _refusal(found: str, why: str, instead: str) -> str:
    return f"{found}.\n    why: {why}.\n    instead: {instead}."


def _look(api: JobApi, deadline: float) -> Seen:
    """Look at the job; servers that elect a leader, or an agent that restarts, get the time that is left."""
    while True:
        try:
            return api.look()
        except NomadError as error:
            lasting = 0 < error.status < http.client.INTERNAL_SERVER_ERROR
            if lasting or time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


def _wait(api: JobApi, version: int, evaluation: str, seconds: float) -> tuple[Seen, Verdict]:
    """Return the verdict on a version, which is WAIT when there is none in time."""
    deadline = time.monotonic() + seconds
    state, since = "", 0.0
    while True:
        seen = _look(api, deadline)
        verdict, now = nomad_deployment.judge(seen, version, evaluation), time.monotonic()
        if verdict.state != state:
            state, since = verdict.state, now
        if verdict.state != WAIT and now - since >= PATIENCE.get(verdict.state, 0.0):
            return seen, verdict
        if now >= deadline:
            return seen, verdict
        time.sleep(POLL_SECONDS)


def _settle(api: JobApi, seen: Seen, seconds: float) -> Seen:
    """Return what is to be seen after Nomad went back to an older version, or tried to."""
    deadline = time.monotonic() + seconds
    while True:
        version = (seen.job or {}).get("Version", 0)
        deployment = seen.deployment(version)
        if seen.job is None or (deployment is not None and deployment["Status"] in ("successful", "failed")):
            return seen
        if time.monotonic() >= deadline:
            return seen
        time.sleep(POLL_SECONDS)
        seen = _look(api, deadline)


def _failed(api: JobApi, result: Result, verdict: Verdict, seen: Seen, wish: Wish) -> None:
    """Put into the result why a version isn't healthy, and what runs instead."""
    if verdict.state != UNPLACED:
        result.failures = nomad_result.evidence(api, seen, result.version or 0, wish.log_lines)
    if verdict.state == BAD:
        result.reverted_to = nomad_deployment.rolled_back_to(verdict.why)
    if result.reverted_to is not None:
        seen = _settle(api, seen, max(ROLLBACK_SECONDS, wish.wait_seconds / 2))
    result.look(seen)
    result.problem = nomad_result.report(result, verdict, seen, wish.wait_seconds)


def _follow(api: JobApi, result: Result, evaluation: str, wish: Wish) -> None:
    """Wait for the health of the result's version and put what came of it into the result."""
    version = result.version or 0
    seen, verdict = _wait(api, version, evaluation, wish.wait_seconds)
    result.deployment = _summary(seen, version)
    result.look(seen)
    if verdict.state == PROMOTION:
        number = result.deployment["id"]
        result.warnings.append(f"{verdict.why}: `nomad deployment promote {number}`, or fail it")
    elif verdict.state not in (GOOD, RUNS):
        _failed(api, result, verdict, seen, wish)
        result.deployment = _summary(seen, version)


def _summary(seen: Seen, version: int) -> dict[str, Any]:
    """Return the deployment of a version as modules return it, {} when it has none."""
    deployment = seen.deployment(version)
    if deployment is None:
        return {}
    return {
        "id": deployment["ID"],
        "status": deployment["Status"],
        "description": deployment["StatusDescription"],
    }


def _unchanged(api: JobApi, result: Result, seen: Seen, wish: Wish) -> None:
    """Judge a job that is registered as it should be, but need not be healthy."""
    job = seen.job or {}
    result.version = job["Version"]
    result.look(seen)
    result.deployment = _summary(seen, job["Version"])
    if job["Type"] in ("batch", "sysbatch"):
        # It has run, or will: that is all there is to it.
        return
    verdict = nomad_deployment.judge(seen, job["Version"], "")
    count, wanted = result.running.get(job["Version"], 0), sum(group["Count"] for group in job["TaskGroups"])
    fine = verdict.state in (GOOD, RUNS)
    if (fine or verdict.state == BAD) and job["Type"] == "service":
        if fine and count < wanted:
            result.warnings.append(f"{count} of {wanted} allocations of the job {result.name} run at the moment")
        elif not fine and count >= wanted:
            result.warnings.append(f"the job runs as it should, but its latest deployment failed: {verdict.why}")
            return
    if verdict.state == BAD:
        again = Verdict(BAD, f"{verdict.why} (earlier; Nomad does not deploy the same version again)")
        _failed(api, result, again, seen, wish)
    elif not fine and wish.wait_seconds > 0:
        _follow(api, result, "", wish)


def _conflict(error: NomadError, name: str) -> str:
    """Return the problem of a job that somebody changed between plan and registration, '' for another error."""
    if "Enforcing job modify index" not in error.text:
        return ""
    return _refusal(
        f"somebody has changed the job {name} while this ran: {error.text}",
        "what was planned would overwrite it unseen",
        "look at `nomad job history -p` and apply again",
    )


def _checked(api: JobApi, job: Mapping[str, Any], result: Result) -> bool:
    """Whether Nomad takes the job; why not is put into the result."""
    errors, warning = api.validate(job)
    if errors:
        result.problem = _refusal(
            f"Nomad does not take the job {result.name}: {'; '.join(' '.join(one.split()) for one in errors)}",
            "nothing was registered",
            "change what it objects to",
        )
    if warning:
        result.warnings.append(" ".join(warning.split()))
    return not errors


def present(nomad: NomadApi, wish: Wish, check_mode: bool) -> Result:
    """Have a job registered and healthy."""
    values = nomad_job_api.variables(wish.variables)
    job = nomad_job_api.parse(nomad, wish.text, values)
    name = str(job.get("ID") or "")
    if wish.name and wish.name != name:
        raise ValueError(f"name is {wish.name!r}, and the job is called {name!r}: write one of them")
    result, api = Result(name), JobApi(nomad_job_api.place(nomad, job), name)
    if not _checked(api, job, result):
        return result
    seen, plan = api.look(), api.plan(job)
    result.diff = nomad_plan.render(plan["Diff"])
    down = not result.diff and nomad_deployment.is_down(seen)
    if down:
        result.diff = f'~ job "{name}"\n    nothing of it runs: it is started again\n'
    result.changed = bool(result.diff)
    if check_mode:
        result.version = (seen.job or {}).get("Version")
        result.warnings += [
            f"no node could take it now: {line}" for line in nomad_plan.unplaced(plan.get("FailedTGAllocs"))
        ]
        return result
    if not result.changed:
        _unchanged(api, result, seen, wish)
        return result
    index = plan["JobModifyIndex"]
    if down:
        # Nomad neither deploys a version twice nor counts the attempts to run it anew.
        api.stop()
        index = (api.job() or {}).get("JobModifyIndex", 0)
    submission = {"Source": wish.text, "Format": "hcl2", "Variables": values}
    try:
        registered = api.register(job, index, submission)
    except NomadError as error:
        result.problem = _conflict(error, name)
        if not result.problem:
            raise
        result.changed = down
        return result
    current = api.job() or {}
    result.version = current.get("Version")
    if wish.wait_seconds > 0:
        if current.get("JobModifyIndex") != registered["JobModifyIndex"]:
            result.problem = (
                f"somebody has registered another version of the job {name}, or purged it, right after this one."
            )
        else:
            _follow(api, result, registered.get("EvalID") or "", wish)
    return result


def _state(job: Mapping[str, Any]) -> str:
    return f"job {job['ID']}, version {job['Version']}, {'stopped' if job['Stop'] else job['Status']}\n"


def absent(
    nomad: NomadApi, name: str, purge: bool, wait_seconds: float, check_mode: bool
) -> tuple[Result, dict[str, str]]:
    """Stop a job, by choice purge it, and wait until its allocations are stopped; the second part is the diff."""
    result, api = Result(name), JobApi(nomad, name)
    job = api.job()
    if job is None:
        return result, {"before": "", "after": ""}
    result.version = job["Version"]
    result.changed = purge or not job["Stop"]
    after = "" if purge else _state({**job, "Stop": True})
    if check_mode:
        return result, {"before": _state(job), "after": after}
    if result.changed:
        api.stop(purge)
    deadline = time.monotonic() + wait_seconds
    while wait_seconds > 0:
        left = Seen(None, allocations=api.allocations()).alive()
        if not left:
            break
        if time.monotonic() >= deadline:
            where = ", ".join(f"{one['ID'][:8]} on {one['NodeName']} ({one['ClientStatus']})" for one in left)
            result.problem = _refusal(
                f"the job {name} is stopped, but after {wait_seconds:g} s allocations of it still run: {where}",
                "tasks get their kill_timeout and shutdown_delay, and a node that is away can't stop any",
                "give it more wait_seconds, or see `nomad alloc status` and `nomad node status`",
            )
            break
        time.sleep(POLL_SECONDS)
    return result, {"before": _state(job), "after": after}
