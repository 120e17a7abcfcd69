# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge how a version of a job does in Nomad, from what its API shows of evaluations, deployment and allocations.

Sources: nomad/structs/deployment.go, scheduler/reconciler and nomad/deploymentwatcher of Nomad 2.0.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_plan
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import CONTROL

WAIT = "waiting"
GOOD = "healthy"
#: Runs, of a job without deployments: nothing but time tells whether it stays.
RUNS = "running"
PROMOTION = "promotion"
UNPLACED = "unplaced"
BAD = "failed"
#: Nomad has looked at the version and starts nothing of it.
IDLE = "idle"

_EVENTS = 8
_NANOSECONDS = 1e9
_ROLLBACK = re.compile(r"rolling back to job version (\d+)")
_ALIVE = ("pending", "running", "unknown")
_ACTIVE = ("running", "paused", "blocked", "unblocking", "initializing", "pending")

Shown = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """What the API shows of a job at one time; ``job`` is None when there is none."""

    job: Optional[Shown]
    deployments: Sequence[Shown] = ()
    evaluations: Sequence[Shown] = ()
    allocations: Sequence[Shown] = ()

    def deployment(self, version: int) -> Optional[Shown]:
        """Return the newest deployment of a version, None when it has none."""
        created = (self.job or {}).get("CreateIndex")
        own = [one for one in self.deployments if one["JobVersion"] == version and one["JobCreateIndex"] == created]
        return max(own, key=lambda one: int(one["CreateIndex"]), default=None)

    def alive(self) -> list[Shown]:
        """Return the allocations that run, will run or may run."""
        return [one for one in self.allocations if one["ClientStatus"] in _ALIVE]

    def running(self) -> dict[int, int]:
        """Return how many allocations of each version run."""
        return dict(
            sorted(Counter(one["JobVersion"] for one in self.alive() if one["ClientStatus"] == "running").items())
        )

    def nodes(self) -> list[str]:
        """Return the ids of the nodes on which it runs."""
        return sorted({one["NodeID"] for one in self.alive() if one["ClientStatus"] == "running"})

    def unplaced(self) -> list[str]:
        """Return why groups can't be placed now."""
        blocked = [one for one in self.evaluations if one["Status"] == "blocked" and one.get("FailedTGAllocs")]
        newest = max(blocked, key=lambda one: int(one["CreateIndex"]), default=None)
        return nomad_plan.unplaced(newest["FailedTGAllocs"]) if newest else []


@dataclass(frozen=True)
class Verdict:
    """``state`` is one of the words above, ``why`` is for a person."""

    state: str
    why: str = ""


def rolled_back_to(description: str) -> Optional[int]:
    """Return the version that Nomad goes back to, as a failed deployment's description says."""
    match = _ROLLBACK.search(description)
    return int(match[1]) if match else None


def is_down(seen: Seen) -> bool:
    """Whether a service that should run has nothing running, and Nomad won't start anything by itself."""
    job = seen.job
    if job is None or job["Type"] != "service" or job.get("Periodic") or job.get("ParameterizedJob"):
        return False
    waiting = any(one["Status"] in ("pending", "blocked") for one in seen.evaluations)
    active = any(one["Status"] in _ACTIVE for one in seen.deployments)
    return not (waiting or active or seen.alive())


def _promotion(deployment: Shown) -> bool:
    """Whether nothing is missing but somebody's promotion."""
    groups = [one for one in deployment["TaskGroups"].values() if one["DesiredCanaries"] and not one["Promoted"]]
    return any(not one["AutoPromote"] and one["HealthyAllocs"] >= one["DesiredCanaries"] for one in groups)


def _of_deployment(deployment: Shown, unplaced: Sequence[str]) -> Verdict:
    status, why = deployment["Status"], deployment["StatusDescription"]
    if status == "successful":
        return Verdict(GOOD, why)
    if status in ("failed", "cancelled", "paused"):
        return Verdict(BAD, why)
    if _promotion(deployment):
        return Verdict(PROMOTION, why)
    if unplaced:
        return Verdict(UNPLACED, "; ".join(unplaced))
    parts = [
        f'group "{name}" has {one["HealthyAllocs"]} of {one["DesiredTotal"]} healthy, {one["UnhealthyAllocs"]} unhealthy'
        for name, one in sorted(deployment["TaskGroups"].items())
    ]
    return Verdict(WAIT, "; ".join([why, *parts]))


def _of_group(job: Shown, group: Shown, allocations: Sequence[Shown]) -> Verdict:
    """Judge a group that has no deployment."""
    own = [one for one in allocations if one["TaskGroup"] == group["Name"] and one["JobVersion"] == job["Version"]]
    count = Counter(one["ClientStatus"] for one in own)
    everywhere = job["Type"] in ("system", "sysbatch")
    wanted = sum(one["DesiredStatus"] == "run" for one in own) if everywhere else group["Count"]
    done = count["running"] + (count["complete"] if job["Type"] in ("batch", "sysbatch") else 0)
    what = f'group "{group["Name"]}": {done} of {wanted} allocations run'
    if done >= wanted and (wanted or not everywhere):
        return Verdict(RUNS, what)
    if count["failed"] and not count["running"] and not count["pending"]:
        return Verdict(BAD, f"{what}, {count['failed']} failed")
    return Verdict(WAIT, what)


def _without_deployment(seen: Seen, job: Shown, evaluation: str) -> Verdict:
    own = next((one for one in seen.evaluations if one["ID"] == evaluation), None)
    if evaluation and (own is None or own["Status"] == "pending"):
        return Verdict(WAIT, "Nomad has not evaluated the job yet")
    if own is not None and own["Status"] in ("failed", "canceled"):
        return Verdict(BAD, f"Nomad could not evaluate the job: {own['StatusDescription'] or own['Status']}")
    if seen.unplaced():
        return Verdict(UNPLACED, "; ".join(seen.unplaced()))
    started = any(one["JobVersion"] == job["Version"] for one in seen.allocations)
    if own is not None and not started and is_down(seen):
        return Verdict(IDLE, "Nomad starts nothing, for what has failed counts on and rescheduling is off or used up")
    groups = [_of_group(job, one, seen.allocations) for one in job["TaskGroups"]]
    for state in (BAD, WAIT, RUNS):
        found = [one.why for one in groups if one.state == state]
        if found:
            return Verdict(state, "; ".join(found))
    return Verdict(GOOD)


def judge(seen: Seen, version: int, evaluation: str) -> Verdict:
    """Say how ``version`` of a job does; ``evaluation`` is the one its registration started, '' for none."""
    job = seen.job
    if job is None:
        return Verdict(BAD, "the job is gone: somebody has purged it meanwhile")
    deployment = seen.deployment(version)
    if deployment is not None and (job["Version"] == version or deployment["Status"] not in _ACTIVE):
        return _of_deployment(deployment, seen.unplaced())
    if job["Version"] != version:
        return Verdict(BAD, f"somebody has registered version {job['Version']} meanwhile")
    if job["Stop"]:
        return Verdict(BAD, "somebody has stopped the job meanwhile")
    if job.get("Periodic") or job.get("ParameterizedJob"):
        return Verdict(GOOD, "registered; it starts when it is due or dispatched")
    return _without_deployment(seen, job, evaluation)


def _clock(nanoseconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds / _NANOSECONDS))


def events(state: Shown) -> list[str]:
    """Return the last events of a task, a line for each."""
    return [
        f"{_clock(one['Time'])} {one['Type']}: {CONTROL.sub(' ', one.get('DisplayMessage') or one.get('Message') or '')}"
        for one in (state.get("Events") or ())[-_EVENTS:]
    ]


def _is_bad(allocation: Shown) -> bool:
    health = allocation.get("DeploymentStatus") or {}
    states = (allocation.get("TaskStates") or {}).values()
    return (
        allocation["ClientStatus"] in ("failed", "lost", "unknown")
        or health.get("Healthy") is False
        or any(one["Failed"] or one["Restarts"] for one in states)
    )


def failing(seen: Seen, version: int, limit: int) -> list[Shown]:
    """Return the newest allocations of a version that do badly, else those that are not healthy yet.

    Where the version has none, those of older ones are what keeps Nomad from starting any.
    """
    allocations = sorted(seen.allocations, key=lambda one: int(one["CreateIndex"]), reverse=True)
    own = [one for one in allocations if one["JobVersion"] == version] or allocations
    bad = [one for one in own if _is_bad(one)]
    return (bad or [one for one in own if not (one.get("DeploymentStatus") or {}).get("Healthy")])[:limit]


def failing_tasks(allocation: Shown) -> list[str]:
    """Return the tasks of an allocation that have failed or been restarted, else all of them."""
    states = allocation.get("TaskStates") or {}
    bad = [name for name, one in sorted(states.items()) if one["Failed"] or one["Restarts"]]
    return bad or sorted(states)
