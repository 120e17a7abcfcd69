"""Each row is what Nomad shows of a job, and the verdict on its version 3."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_deployment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_deployment import (
    BAD,
    GOOD,
    IDLE,
    PROMOTION,
    RUNS,
    UNPLACED,
    WAIT,
    Seen,
)

GROUP = {
    "DesiredCanaries": 0,
    "Promoted": False,
    "AutoPromote": False,
    "HealthyAllocs": 0,
    "UnhealthyAllocs": 0,
    "DesiredTotal": 2,
}
DONE = {"ID": "e", "Status": "complete", "StatusDescription": "", "CreateIndex": 9}
BLOCKED = {"ID": "b", "Status": "blocked", "CreateIndex": 9, "FailedTGAllocs": {"g": {"NodesEvaluated": 0}}}


def job(**changes: Any) -> dict[str, Any]:
    groups = [{"Name": "g", "Count": 2}]
    return {"Version": 3, "CreateIndex": 5, "Stop": False, "Type": "service", "TaskGroups": groups, **changes}


def deployment(status: str, version: int = 3, created: int = 5, index: int = 9, **group: Any) -> dict[str, Any]:
    own = {
        "JobVersion": version,
        "JobCreateIndex": created,
        "CreateIndex": index,
        "TaskGroups": {"g": {**GROUP, **group}},
    }
    return {"Status": status, "StatusDescription": f"is {status}", **own}


def allocation(status: str, version: int = 3, desired: str = "run", **more: Any) -> dict[str, Any]:
    own = {"TaskGroup": "g", "JobVersion": version, "DesiredStatus": desired, "CreateIndex": 9}
    return {**own, "ClientStatus": status, **more}


def seen(*allocations: dict[str, Any], deployments: Any = (), evaluations: Any = (DONE,), **changes: Any) -> Seen:
    return Seen(job(**changes), deployments, evaluations, allocations)


def deployed(status: str, **options: Any) -> Seen:
    return seen(deployments=[deployment(status, **options)])


RUNNING = allocation("running")
CANARY = {"DesiredCanaries": 1, "HealthyAllocs": 1}
VERDICTS = [
    (deployed("successful"), GOOD, "is successful"),
    (deployed("failed"), BAD, "is failed"),
    (deployed("cancelled"), BAD, "is cancelled"),
    (deployed("paused"), BAD, "is paused"),
    (deployed("running", HealthyAllocs=1), WAIT, 'group "g" has 1 of 2 healthy, 0 unhealthy'),
    (deployed("pending"), WAIT, "is pending"),
    (deployed("running", **CANARY), PROMOTION, "is running"),
    (deployed("running", **CANARY, AutoPromote=True), WAIT, ""),
    (deployed("running", **CANARY, Promoted=True), WAIT, ""),
    (deployed("running", DesiredCanaries=1), WAIT, ""),
    (seen(deployments=[deployment("running")], evaluations=[DONE, BLOCKED]), UNPLACED, "no node was eligible"),
    (seen(deployments=[deployment("successful")], evaluations=[DONE, BLOCKED]), GOOD, ""),
    # The newest of the version counts, and only that of this very job.
    (seen(deployments=[deployment("failed", index=7), deployment("successful")]), GOOD, ""),
    (
        seen(deployments=[deployment("successful", created=1)], evaluations=[{**DONE, "Status": "pending"}]),
        WAIT,
        "not evaluated",
    ),
    (
        seen(deployments=[deployment("successful", version=2)], evaluations=[{**DONE, "Status": "pending"}]),
        WAIT,
        "not evaluated",
    ),
    # Others.
    (Seen(None), BAD, "purged"),
    (seen(Version=4), BAD, "version 4 meanwhile"),
    (seen(Version=4, deployments=[deployment("failed")]), BAD, "is failed"),
    (seen(Version=4, deployments=[deployment("running")]), BAD, "version 4 meanwhile"),
    (seen(Stop=True), BAD, "stopped the job"),
    # Jobs without a deployment.
    (seen(evaluations=[]), WAIT, "not evaluated"),
    (
        seen(evaluations=[{**DONE, "Status": "failed", "StatusDescription": "maximum attempts"}]),
        BAD,
        "maximum attempts",
    ),
    (seen(evaluations=[{**DONE, "Status": "canceled"}]), BAD, "canceled"),
    (seen(evaluations=[DONE, BLOCKED]), UNPLACED, "no node"),
    (seen(RUNNING, RUNNING), RUNS, "2 of 2"),
    (seen(RUNNING), WAIT, "1 of 2"),
    (seen(RUNNING, allocation("running", version=2)), WAIT, "1 of 2"),
    (seen(RUNNING, allocation("failed")), WAIT, "1 of 2"),
    (seen(allocation("failed"), allocation("failed")), BAD, "2 failed"),
    (seen(allocation("failed"), evaluations=[DONE, {**DONE, "ID": "next", "Status": "pending"}]), BAD, "1 failed"),
    (seen(allocation("failed", version=2)), IDLE, "starts nothing"),
    (seen(allocation("complete"), allocation("complete"), Type="batch"), RUNS, "2 of 2"),
    (seen(allocation("complete"), allocation("complete")), WAIT, "0 of 2"),
    (seen(RUNNING, Type="system"), RUNS, "1 of 1"),
    (seen(RUNNING, allocation("complete", desired="stop"), Type="system"), RUNS, "1 of 1"),
    (seen(Type="system"), WAIT, "0 of 0"),
    (seen(Periodic={"Enabled": True}), GOOD, "when it is due"),
]


@pytest.mark.parametrize(("shown", "state", "why"), VERDICTS)
def test_verdicts(shown: Seen, state: str, why: str) -> None:
    verdict = nomad_deployment.judge(shown, 3, "e")
    assert verdict.state == state, verdict
    assert why in verdict.why


@pytest.mark.parametrize(
    ("description", "version"),
    [
        ("Failed due to unhealthy allocations - rolling back to job version 12", 12),
        ("Failed due to progress deadline - no stable job version to auto revert to", None),
        ("x - not rolling back to stable job version 3 as current job has same specification", None),
        ("Failed due to progress deadline", None),
    ],
)
def test_which_version_nomad_goes_back_to(description: str, version: int | None) -> None:
    assert nomad_deployment.rolled_back_to(description) == version


@pytest.mark.parametrize(
    ("shown", "down"),
    [
        (seen(allocation("failed")), True),
        (seen(), True),
        (seen(RUNNING), False),
        (seen(allocation("pending")), False),
        (seen(allocation("unknown")), False),
        (seen(evaluations=[DONE, BLOCKED]), False),
        (seen(evaluations=[{**DONE, "Status": "pending"}]), False),
        (deployed("running"), False),
        (deployed("failed"), True),
        (seen(Type="batch"), False),
        (seen(Periodic={"Enabled": True}), False),
        (Seen(None), False),
    ],
)
def test_when_a_service_is_down(shown: Seen, down: bool) -> None:
    assert nomad_deployment.is_down(shown) is down


def test_counts_what_runs_by_version() -> None:
    shown = seen(
        RUNNING, allocation("running", 2), allocation("running", 2), allocation("pending"), allocation("failed")
    )
    assert shown.running() == {2: 2, 3: 1}


def test_the_newest_failures_come_first_and_healthy_ones_not_at_all() -> None:
    shown = seen(
        allocation("failed", ID="1", CreateIndex=10),
        allocation("failed", ID="2", CreateIndex=11),
        allocation("running", ID="3", CreateIndex=12, DeploymentStatus={"Healthy": True}),
        allocation("running", ID="4", CreateIndex=13, TaskStates={"t": {"Failed": False, "Restarts": 1}}),
        allocation("failed", ID="5", CreateIndex=14, version=2),
    )
    assert [one["ID"] for one in nomad_deployment.failing(shown, 3, 2)] == ["4", "2"]


def test_tasks_that_have_not_failed_are_left_out() -> None:
    states = {"b": {"Failed": True, "Restarts": 0}, "a": {"Failed": False, "Restarts": 0}}
    assert nomad_deployment.failing_tasks({"TaskStates": states}) == ["b"]
    assert nomad_deployment.failing_tasks({"TaskStates": {"a": states["a"]}}) == ["a"]
    assert nomad_deployment.failing_tasks({"TaskStates": None}) == []


def test_events_are_the_last_ones_without_control_characters() -> None:
    listed = [{"Time": 0, "Type": "Driver", "DisplayMessage": f"no {number}\x1b"} for number in range(20)]
    shown = nomad_deployment.events({"Events": listed})
    assert (len(shown), shown[-1]) == (8, "1970-01-01T00:00:00Z Driver: no 19 ")
