"""A job's end, against a fake of Nomad's servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.plugins.nomad_cluster import Cluster, started


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with started(monkeypatch) as fake:
        yield fake


def test_stops_a_job(cluster: Cluster) -> None:
    cluster.apply("good")
    planned, shown = cluster.remove(check_mode=True)
    running = cluster.nomad.allocations[-1]["ClientStatus"]
    result, diff = cluster.remove()

    assert (planned.changed, running, shown) == (True, "running", diff)
    assert diff == {"before": "job mlflow, version 0, running\n", "after": "job mlflow, version 0, stopped\n"}
    assert (result.changed, result.problem) == (True, "")
    assert cluster.remove()[0].changed is False


def test_purges_a_job_that_is_stopped_already(cluster: Cluster) -> None:
    cluster.apply("good")
    cluster.remove()
    result, diff = cluster.remove(purge=True)
    assert (result.changed, diff["after"], cluster.nomad.jobs) == (True, "", {})


@pytest.mark.parametrize("purge", [False, True])
@pytest.mark.parametrize("check_mode", [False, True])
def test_an_unknown_job_is_absent(cluster: Cluster, purge: bool, check_mode: bool) -> None:
    result, diff = cluster.remove("nothing", purge, check_mode)
    assert (result.changed, result.problem, diff["before"]) == (False, "", "")
    assert cluster.written() == []


def test_says_what_does_not_stop(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.apply("good")
    cluster.nomad.allocations[-1]["ClientStatus"] = "unknown"
    problem = cluster.remove()[0].problem
    assert "after 0.3 s allocations of it still run" in problem
    assert "on n1 (unknown)" in problem
