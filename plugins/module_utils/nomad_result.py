# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of a job in Nomad, and how a person is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_deployment, nomad_plan
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_deployment import (
    BAD,
    IDLE,
    UNPLACED,
    WAIT,
    Seen,
    Verdict,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_job_api import JobApi

_ALLOCATIONS = 3
_SECRETS = "the log lines are as the tasks wrote them: what is secret in them isn't known here"


@dataclass(frozen=True)
class Wish:
    """What is wanted: the job's text with its variables, and how long to wait for its health in seconds."""

    text: str
    name: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    wait_seconds: float = 300.0
    log_lines: int = 20


@dataclass
class Result:
    """What was done: ``problem`` is '' when all is well, ``diff`` the lines of the plan."""

    name: str
    changed: bool = False
    problem: str = ""
    diff: str = ""
    warnings: list[str] = field(default_factory=list)
    version: Optional[int] = None
    deployment: dict[str, Any] = field(default_factory=dict)
    reverted_to: Optional[int] = None
    running: dict[int, int] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)

    def look(self, seen: Seen) -> None:
        """Take over what runs, and where."""
        self.running, self.nodes = seen.running(), seen.nodes()

    def values(self) -> dict[str, Any]:
        """Return the form that modules return."""
        return {
            "name": self.name,
            "version": self.version,
            "deployment": self.deployment,
            "reverted_to": self.reverted_to,
            # JSON's keys are text.
            "running_versions": {str(version): count for version, count in self.running.items()},
            "nodes": self.nodes,
            "failures": self.failures,
            "plan": self.diff,
        }


def evidence(api: JobApi, seen: Seen, version: int, lines: int) -> list[dict[str, Any]]:
    """Return the failing tasks of a version with the last log lines.  Raises nomad_errors.NomadError."""
    found = []
    for allocation in nomad_deployment.failing(seen, version, _ALLOCATIONS):
        states = allocation.get("TaskStates") or {}
        common = {
            "allocation": allocation["ID"],
            "node": allocation["NodeName"],
            "group": allocation["TaskGroup"],
            "version": allocation["JobVersion"],
            "status": allocation["ClientStatus"],
        }
        for task in nomad_deployment.failing_tasks(allocation):
            logs = {
                stream: api.log(allocation["ID"], task, stream, lines) if lines else []
                for stream in ("stdout", "stderr")
            }
            found.append({**common, "task": task, "events": nomad_deployment.events(states[task]), **logs})
        if not states:
            found.append({**common, "task": "", "events": [], "stdout": [], "stderr": []})
    return found


def _shown(failure: Mapping[str, Any]) -> str:
    """Return a failure as indented lines."""
    what = f"task {failure['task']} of " if failure["task"] else ""
    lines = [f"{what}allocation {failure['allocation'][:8]} on {failure['node']}, {failure['status']}:"]
    lines += [f"    {line}" for line in failure["events"]]
    for stream in ("stdout", "stderr"):
        if failure[stream]:
            lines += [f"  the end of its {stream}:", *(f"    {line}" for line in failure[stream])]
    return "\n".join(f"    {line}" for line in lines)


def _now(result: Result, seen: Seen) -> str:
    """Say what runs after a failure."""
    if seen.job is None:
        return "the job is gone"
    current = seen.job["Version"]
    running = ", ".join(f"{count} of version {version}" for version, count in result.running.items())
    runs = f"allocations that run: {running}" if running else "no allocation runs"
    if result.reverted_to is None:
        return f"the job stays at version {current}; {runs}"
    deployment = seen.deployment(current) or {}
    done = {"successful": "is healthy", "failed": "is not healthy either"}.get(
        deployment.get("Status", ""), "is starting"
    )
    return f"Nomad went back to version {result.reverted_to}, which is now version {current} and {done}; {runs}"


def _remedy(verdict: Verdict, result: Result, seen: Seen) -> str:
    if verdict.state == UNPLACED:
        return (
            f"{nomad_plan.advice(seen.unplaced())}; Nomad goes on trying, and places the job as soon as a node fits, "
            "so there is no need to apply it again after that"
        )
    if verdict.state == IDLE:
        return "mend what made it fail, purge the job (state absent with purge) and apply it again"
    if verdict.state == WAIT:
        return "see what it waits for in the lines above, or give it more wait_seconds"
    if verdict.state == BAD and result.failures:
        return "mend what these lines complain of and apply the job again"
    return f"see `nomad job status {result.name}`"


def report(result: Result, verdict: Verdict, seen: Seen, wait_seconds: float) -> str:
    """Say why a version isn't healthy, what runs instead, and what to do."""
    version = result.version or 0
    headings = {
        UNPLACED: f"no node can take version {version} of the job {result.name}: {verdict.why}",
        WAIT: f"version {version} of the job {result.name} is not healthy after {wait_seconds:g} s: {verdict.why}",
    }
    found = headings.get(verdict.state, f"version {version} of the job {result.name} failed: {verdict.why}")
    lines = [f"{found}.", f"    now: {_now(result, seen)}."]
    if result.failures:
        lines += ["    seen:", *(_shown(failure) for failure in result.failures)]
    if any(failure["stdout"] or failure["stderr"] for failure in result.failures):
        lines.append(f"    note: {_SECRETS}.")
    return "\n".join([*lines, f"    instead: {_remedy(verdict, result, seen)}."])
