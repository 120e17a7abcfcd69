"""A job's way through Nomad, against a fake of Nomad's servers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job, nomad_job_api
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import Access, NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_result import Wish
from tests.unit.plugins.fake_nomad import NODE, Nomad, job
from tests.unit.plugins.nomad_cluster import Cluster, started


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with started(monkeypatch) as fake:
        yield fake


def test_registers_and_waits_for_health(cluster: Cluster) -> None:
    result = cluster.apply("good")

    assert (result.changed, result.problem, result.version) == (True, "", 0)
    assert result.deployment["status"] == "successful"
    assert result.running == {0: 1}
    assert result.values()["running_versions"] == {"0": 1}
    assert result.nodes == [NODE]
    assert '+ job "mlflow"' in result.diff


def test_keeps_the_text_with_the_job(cluster: Cluster) -> None:
    cluster.apply("good", variables={"image": "x"})
    (sent,) = [asked.body for asked in cluster.nomad.asked if asked.path == "/v1/jobs"]
    assert sent["Submission"] == {"Source": "good", "Format": "hcl2", "Variables": 'image = "x"\n'}


def test_changes_nothing_the_second_time(cluster: Cluster) -> None:
    cluster.apply("good")
    before = cluster.written()
    result = cluster.apply("good")

    assert (result.changed, result.diff, result.problem, result.warnings) == (False, "", "", [])
    assert (result.version, result.running) == (0, {0: 1})
    assert cluster.written() == before


def test_registers_a_change_with_the_index_of_the_plan(cluster: Cluster) -> None:
    cluster.apply("good")
    index = cluster.nomad.jobs["mlflow"]["JobModifyIndex"]
    result = cluster.apply("better")

    (_first, sent) = [asked.body for asked in cluster.nomad.asked if asked.path == "/v1/jobs"]
    assert (sent["EnforceIndex"], sent["JobModifyIndex"]) == (True, index)
    assert (result.changed, result.version, result.deployment["status"]) == (True, 1, "successful")
    assert '~   Meta[image]: "" => "2"' in result.diff


@pytest.mark.parametrize("first", ["", "good"])
def test_check_mode_plans_and_registers_nothing(cluster: Cluster, first: str) -> None:
    if first:
        cluster.apply(first)
    before = cluster.written()
    result = cluster.apply("better", check_mode=True)

    assert (result.changed, bool(result.diff), result.version) == (True, True, 0 if first else None)
    assert cluster.written() == before


def test_check_mode_says_when_no_node_could_take_it(cluster: Cluster) -> None:
    (warning,) = cluster.apply("unplaced", check_mode=True).warnings
    assert "missing compatible host volumes" in warning


def test_does_not_overwrite_what_somebody_else_registers_meanwhile(cluster: Cluster) -> None:
    cluster.apply("good")
    cluster.nomad.before_register = lambda: cluster.nomad.put(job(Meta={"does": "well", "image": "theirs"}))
    result = cluster.apply("better")

    assert result.changed is False
    assert "somebody has changed the job mlflow while this ran" in result.problem
    assert cluster.nomad.jobs["mlflow"]["Meta"]["image"] == "theirs"


def test_says_that_somebody_else_registers_while_it_waits(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    register = cluster.nomad._register

    def twice(body: dict[str, Any]) -> Any:
        answer = register(body)
        cluster.nomad.put(job(Meta={"does": "well", "image": "theirs"}))
        return answer

    monkeypatch.setattr(cluster.nomad, "_register", twice)
    assert "somebody has registered another version" in cluster.apply("good").problem


def test_a_failing_first_version_shows_events_and_logs(cluster: Cluster) -> None:
    result = cluster.apply("bad", log_lines=3)

    assert (result.changed, result.version, result.reverted_to) == (True, 0, None)
    assert result.deployment["status"] == "failed"
    (failure,) = result.failures
    assert (failure["task"], failure["node"], failure["status"]) == ("mlflow", "n1", "failed")
    assert failure["events"] == ["2026-05-28T20:26:40Z Terminated: Exit Code: 1"]
    assert failure["stdout"] == ["starting"]
    assert failure["stderr"] == ["line 48", "line 49", "boom [0m"]
    for part in (
        "no stable job version",
        "stays at version 0; no allocation runs",
        "line 49",
        "what is secret",
        "mend",
    ):
        assert part in result.problem
    assert "line 47" not in result.problem


def test_a_failing_version_goes_back_to_the_stable_one(cluster: Cluster) -> None:
    cluster.apply("good")
    result = cluster.apply("bad")

    assert (result.version, result.reverted_to, result.running) == (1, 0, {2: 1})
    assert result.deployment["status"] == "failed"
    assert "Nomad went back to version 0, which is now version 2 and is healthy" in result.problem
    assert "1 of version 2" in result.problem


def test_the_next_run_tries_a_failed_version_again_after_going_back(cluster: Cluster) -> None:
    cluster.apply("good")
    cluster.apply("bad")
    assert (cluster.apply("bad").version, cluster.apply("good").changed) == (3, False)


def test_no_logs_where_none_are_wanted(cluster: Cluster) -> None:
    result = cluster.apply("bad", log_lines=0)
    assert (result.failures[0]["stderr"], "boom" in result.problem, "secret" in result.problem) == ([], False, False)


def test_says_why_logs_are_not_shown(cluster: Cluster) -> None:
    cluster.nomad.denied = "fs/logs"
    result = cluster.apply("bad")
    assert "Permission denied" in result.failures[0]["stderr"][0]
    assert "read-logs" in result.problem


def test_says_what_it_waited_for(cluster: Cluster) -> None:
    result = cluster.apply("stuck", wait_seconds=0.2)
    assert "version 0 of the job mlflow is not healthy after 0.2 s: Deployment is running" in result.problem
    assert 'group "server" has 0 of 1 healthy' in result.problem
    assert result.failures[0]["status"] == "running"


def test_an_unplaced_job_is_told_right_away(cluster: Cluster) -> None:
    began = time.monotonic()
    result = cluster.apply("unplaced", wait_seconds=6)
    assert time.monotonic() - began < 3
    assert "no node can take version 0 of the job mlflow" in result.problem
    assert 'group "server": 1 node excluded: "missing compatible host volumes"' in result.problem
    assert "configure the host volume" in result.problem
    assert result.failures == []


def test_the_older_version_goes_on_where_the_new_one_is_unplaced(cluster: Cluster) -> None:
    cluster.apply("good")
    result = cluster.apply("unplaced")
    assert "allocations that run: 1 of version 0" in result.problem


def test_does_not_wait_where_it_is_not_wanted(cluster: Cluster) -> None:
    result = cluster.apply("bad", wait_seconds=0)
    assert (result.changed, result.problem, result.version, result.deployment) == (True, "", 0, {})


@pytest.mark.parametrize("text", ["plain", "batch", "periodic"])
def test_jobs_without_a_deployment(cluster: Cluster, text: str) -> None:
    result = cluster.apply(text)
    assert (result.changed, result.problem, result.deployment) == (True, "", {})
    again = cluster.apply(text)
    assert (again.changed, again.problem) == (False, "")


def test_a_failing_job_without_a_deployment(cluster: Cluster) -> None:
    result = cluster.apply("plain, crashing")
    assert 'group "server": 0 of 1 allocations run, 1 failed' in result.problem
    assert "boom" in result.problem


def test_a_stopped_job_is_started_again(cluster: Cluster) -> None:
    cluster.apply("good")
    cluster.remove()
    planned = cluster.apply("good", check_mode=True)
    result = cluster.apply("good")

    assert planned.changed
    assert 'Stop: "true" => "false"' in planned.diff
    assert (result.changed, result.problem, result.deployment["status"]) == (True, "", "successful")


def test_a_service_of_which_nothing_runs_is_started_again(cluster: Cluster) -> None:
    cluster.apply("good")
    cluster.nomad.allocations[-1]["ClientStatus"] = "failed"
    planned = cluster.apply("good", check_mode=True)
    before = cluster.written()
    result = cluster.apply("good")

    assert (planned.changed, "started again" in planned.diff) == (True, True)
    assert len(before) == 1
    assert (result.changed, result.problem, result.deployment["status"]) == (True, "", "successful")
    assert result.version == 2


def test_a_version_that_failed_is_tried_again_where_nothing_runs(cluster: Cluster) -> None:
    cluster.apply("bad, no way back")
    cluster.nomad.logs["stderr"] = "still no database\n"
    result = cluster.apply("bad, no way back")
    assert (result.changed, "still no database" in result.problem) == (True, True)


def test_says_that_nomad_starts_nothing_more_without_rescheduling(cluster: Cluster) -> None:
    cluster.apply("bad, once")
    result = cluster.apply("bad, once", wait_seconds=60)
    assert (result.changed, result.version, result.failures[0]["version"]) == (True, 2, 0)
    assert "Nomad starts nothing" in result.problem
    assert "purge the job" in result.problem
    assert "boom" in result.problem


def alive(nomad: Nomad, count: int) -> None:
    """Let another version's allocation, or that of the failed one, run."""
    version = nomad.jobs["mlflow"]["Version"]
    nomad.allocations.append({**nomad.allocations[-1], "JobVersion": version + 1 - count, "ClientStatus": "running"})


def test_an_unchanged_job_says_that_its_deployment_has_failed(cluster: Cluster) -> None:
    cluster.apply("bad, no way back")
    alive(cluster.nomad, 0)
    result = cluster.apply("bad, no way back")
    assert (result.changed, "(earlier; Nomad does not deploy" in result.problem) == (False, True)
    assert "boom" in result.problem


def test_an_unchanged_job_that_runs_only_warns_of_its_deployment(cluster: Cluster) -> None:
    cluster.apply("bad, no way back")
    alive(cluster.nomad, 1)
    result = cluster.apply("bad, no way back")
    assert (result.changed, result.problem) == (False, "")
    assert "its latest deployment failed: Failed due to unhealthy allocations" in result.warnings[0]


def test_an_unchanged_job_is_waited_for_when_its_deployment_is_under_way(cluster: Cluster) -> None:
    cluster.apply("good", wait_seconds=0)
    result = cluster.apply("good")
    assert (result.changed, result.problem, result.deployment["status"]) == (False, "", "successful")


def test_a_job_that_nomad_does_not_take(cluster: Cluster) -> None:
    cluster.nomad.invalid = ["Missing job datacenters", "Task mlflow\n  has no driver"]
    result = cluster.apply("good")
    assert "Missing job datacenters; Task mlflow has no driver" in result.problem
    assert cluster.written() == []


def test_a_text_that_is_no_hcl(cluster: Cluster) -> None:
    with pytest.raises(NomadError, match=r"400: Failed to parse job: input\.hcl:1,1-2"):
        cluster.apply("{")


def test_says_which_right_is_missing(cluster: Cluster) -> None:
    cluster.nomad.denied = "POST /v1/jobs$"
    with pytest.raises(NomadError) as caught:
        cluster.apply("good")
    assert 'host_volume "NAME"' in caught.value.remedy


def test_asks_in_the_jobs_own_namespace_and_region(cluster: Cluster) -> None:
    cluster.apply("elsewhere")
    asked = [one.path for one in cluster.nomad.asked[1:]]
    assert [path for path in asked if "namespace=ml&region=eu" not in path] == []
    (sent,) = [one.body for one in cluster.nomad.asked if one.path.startswith("/v1/jobs?")]
    assert (sent["Job"]["Namespace"], sent["Job"]["Region"]) == ("ml", "eu")


@pytest.mark.parametrize("other", [{"namespace": "other"}, {"region": "us"}])
def test_a_job_for_another_place_than_the_option(cluster: Cluster, other: dict[str, Any]) -> None:
    api = NomadApi(Access(cluster.api.access.address, cluster.nomad.token, **other))
    with pytest.raises(ValueError, match="write one of them"):
        nomad_job.present(api, Wish("elsewhere"), False)


def test_a_job_of_another_name(cluster: Cluster) -> None:
    with pytest.raises(ValueError, match="name is 'x', and the job is called 'mlflow'"):
        cluster.apply("good", name="x")


def test_names_may_hold_slashes(cluster: Cluster) -> None:
    assert cluster.apply("slashed").problem == ""
    assert cluster.remove("team/mlflow")[0].changed


def test_a_server_that_is_away_for_a_moment(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    look: Callable[..., Any] = nomad_job_api.JobApi.look
    away = iter([NomadError("no_leader", "x", "y", 500), NomadError("refused", "x", "y")])

    def sometimes(api: nomad_job_api.JobApi) -> Any:
        if cluster.nomad.jobs:
            for error in away:
                raise error
        return look(api)

    monkeypatch.setattr(nomad_job_api.JobApi, "look", sometimes)
    assert cluster.apply("good").problem == ""
