"""What the role mlflow_nomad refuses before anything is changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_job_rules import Job

FINE = Job(
    job="mlflow",
    driver="docker",
    image="registry.example.org/mlflow:1",
    count=1,
    port=5000,
    workers=1,
    hosts=["node1"],
    memory=1024,
    memory_max=0,
    uid=850,
    gid=851,
    artifact_root="/mnt/mlflow",
    artifact_access="direct",
    clients_root="/mnt/mlflow",
    artifact_volume="mlflow-artifacts",
    data_volume="mlflow-data",
    data_directory="/var/lib/mlflow/backend",
    backend_store_uri="sqlite:////var/lib/mlflow/backend/mlflow.db",
    service_provider="nomad",
    host_name="mlflow.example.org",
    variable="nomad/jobs/mlflow",
    wait=300,
)
POSTGRESQL = "postgresql+psycopg2://…@db/mlflow"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"driver": "podman"},
        {"driver": "exec", "image": "", "artifact_access": "proxied"},
        {"count": 3, "hosts": ["node1", "node2", "node3"], "backend_store_uri": POSTGRESQL},
        {"artifact_access": "proxied", "clients_root": "/elsewhere"},
        {"memory_max": 2048, "service_provider": "consul", "host_name": ""},
    ],
)
def test_what_can_be_run_is_no_problem(given: dict[str, Any]) -> None:
    assert nomad_job_rules.judge(replace(FINE, **given)) == []


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"driver": "raw_exec"}, "mlflow_nomad_driver is raw_exec"),
        ({"driver": "exec"}, "mlflow_nomad_driver is exec, and clients write artifacts themselves"),
        ({"driver": "qemu"}, "mlflow_nomad_driver is 'qemu'"),
        ({"image": ""}, "mlflow_nomad_image is empty"),
        ({"artifact_root": "mnt/mlflow", "clients_root": ""}, "mlflow_nomad_artifact_root is 'mnt/mlflow'"),
        ({"data_directory": "data", "backend_store_uri": POSTGRESQL}, "mlflow_nomad_data_directory is 'data'"),
        ({"clients_root": "/mnt/other"}, "mlflow_nomad_artifact_root is /mnt/mlflow, the clients' is /mnt/other"),
        ({"artifact_access": "both"}, "mlflow_nomad_artifact_access is 'both'"),
        ({"count": 2}, "mlflow_nomad_count is 2, and the database is SQLite"),
        ({"hosts": ["node1", "node2"]}, "the database is SQLite, and 2 hosts have its volume: node1, node2"),
        ({"backend_store_uri": "sqlite:////tmp/m.db"}, "mlflow_nomad_backend_store_uri is sqlite:////tmp/m.db"),
        ({"artifact_volume": "mlflow_artifacts"}, "mlflow_nomad_artifact_volume is 'mlflow_artifacts'"),
        ({"data_volume": "mlflow-artifacts"}, "mlflow_nomad_data_volume and mlflow_nomad_artifact_volume are both"),
        ({"job": "ml flow"}, "mlflow_nomad_job is 'ml flow'"),
        ({"variable": "nomad jobs"}, "mlflow_nomad_variable is 'nomad jobs'"),
        ({"host_name": "https://mlflow.example.org"}, "mlflow_nomad_host_name is 'https://mlflow.example.org'"),
        ({"memory": 400}, "mlflow_nomad_memory is 400 MiB, with 1 workers"),
        ({"memory": 700, "workers": 2}, "mlflow_nomad_memory is 700 MiB, with 2 workers"),
        ({"memory_max": 512}, "mlflow_nomad_memory_max is 512 MiB"),
        ({"count": 0}, "mlflow_nomad_workers is 1, mlflow_nomad_count 0"),
        ({"port": 70000}, "mlflow_nomad_port is 70000"),
        ({"wait": 0}, "mlflow_nomad_wait is 0 s"),
        ({"uid": 0}, "the task would run as 0:851"),
        ({"service_provider": "etcd"}, "mlflow_nomad_service_provider is 'etcd'"),
        ({"environment": {"A B": 1}}, "'A B' among the variables"),
        ({"environment": {"X": 1}, "secrets": ["X"]}, "X in mlflow_nomad_environment and in mlflow_nomad_secrets"),
        (
            {"artifact_root": "/var/lib/mlflow/backend/a", "clients_root": ""},
            "/var/lib/mlflow/backend and /var/lib/mlflow/backend/a lie one in the other",
        ),
    ],
)
def test_what_cannot_be_run_is_refused(given: dict[str, Any], found: str) -> None:
    (problem,) = nomad_job_rules.judge(replace(FINE, **given))

    assert problem.found.startswith(found)
