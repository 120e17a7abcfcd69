"""What a token may do is seen before anything is done.  The integration tests ask a real agent the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_rights
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from tests.unit.plugins.fake_nomad import NODE, job
from tests.unit.plugins.nomad_cluster import Cluster, started

VOLUMES = {
    "artifacts": {"Type": "host", "Source": "mlflow-artifacts"},
    "data": {"Type": "host", "Source": "mlflow-data"},
}
MOUNTS = [{"Volume": name} for name in VOLUMES]
GROUP = {"Name": "server", "Count": 1, "Tasks": [{"Name": "mlflow", "VolumeMounts": MOUNTS}], "Volumes": VOLUMES}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with started(monkeypatch) as cluster:
        cluster.nomad.texts["with volumes"] = job(TaskGroups=[GROUP])
        yield cluster


def found(cluster: Cluster) -> list[str]:
    """What is missing for the job, its variable and its node."""
    listed = [*nomad_rights.of_job(cluster.api, "with volumes")]
    listed += nomad_rights.of_variable(cluster.api, "nomad/jobs/mlflow")
    listed += nomad_rights.of_node(cluster.api)[1]
    return [str(problem) for problem in listed]


def test_who_may_do_all_of_it_has_changed_nothing(cluster: Cluster) -> None:
    assert found(cluster) == []
    assert nomad_rights.of_node(cluster.api) == (NODE, [])
    assert cluster.nomad.jobs == {}
    assert cluster.nomad.evaluations == []


def test_a_job_that_runs_is_left_as_it_is(cluster: Cluster) -> None:
    cluster.apply("good")
    before = dict(cluster.nomad.jobs["mlflow"])

    assert found(cluster) == []
    assert cluster.nomad.jobs["mlflow"] == before


@pytest.mark.parametrize(
    ("denied", "instead"),
    [
        ("/v1/jobs/parse", 'capabilities = ["submit-job"]'),
        ("GET /v1/job/", 'capabilities = ["read-job"]'),
        ("POST /v1/jobs$", 'capabilities = ["submit-job"]'),
        ("/v1/client/fs/logs", 'capabilities = ["read-logs"]'),
        ("GET /v1/var/", 'path "nomad/jobs/mlflow" { capabilities = ["read", "write"] }'),
        ("PUT /v1/var/", 'path "nomad/jobs/mlflow" { capabilities = ["read", "write"] }'),
        ("/v1/agent/self", 'agent { policy = "read" }'),
        ("/v1/node/", 'node { policy = "read" }'),
    ],
)
def test_each_right_that_is_missing_is_told_with_its_policy(cluster: Cluster, denied: str, instead: str) -> None:
    cluster.apply("good")
    cluster.nomad.denied = denied

    (problem,) = found(cluster)

    assert instead in problem


def test_the_host_volume_that_may_not_be_mounted_is_named(cluster: Cluster) -> None:
    cluster.nomad.denied_volumes = {"mlflow-data"}

    (problem,) = found(cluster)

    assert 'host_volume "mlflow-data" { policy = "write" }' in problem


def test_all_that_is_missing_is_told_at_once(cluster: Cluster) -> None:
    cluster.nomad.denied_volumes = {"mlflow-data", "mlflow-artifacts"}
    cluster.nomad.denied = "/v1/(var|node)/"

    assert len(found(cluster)) == 4


def test_what_nomad_objects_to_in_the_job_is_told(cluster: Cluster) -> None:
    cluster.nomad.invalid = ["Missing job datacenters"]

    (problem,) = found(cluster)

    assert problem.startswith("Missing job datacenters")


@pytest.mark.parametrize(("namespace", "missing"), [("ml", 0), ("elsewhere", 1)])
def test_a_namespace_that_is_not_there_is_told(cluster: Cluster, namespace: str, missing: int) -> None:
    cluster.nomad.texts["with volumes"]["Namespace"] = namespace

    problems = found(cluster)

    assert [f"Nomad has no namespace {namespace}" in one for one in problems] == [True] * missing


def test_what_is_no_matter_of_rights_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(NomadError, match="Failed to parse job"):
        list(nomad_rights.of_job(cluster.api, "no such text"))
