"""Misspelt inputs are caught; a stranger's own variables are left alone."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils.inputs import unknown_inputs

OPTIONS = ("mlflow_server_port", "mlflow_server_workers", "mlflow_server_bind_address")
ROLES = ("mlflow_server", "mlflow_client", "mlflow_nfs_mount")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        pytest.param("mlflow_server_prot", "write mlflow_server_port", id="letters swapped"),
        pytest.param("mlflow_server_worker", "write mlflow_server_workers", id="plural forgotten"),
        pytest.param("mlflow_sever_port", "write mlflow_server_port", id="slip in the role's name"),
        pytest.param("mlflow_artifact_rot", "write mlflow_artifact_root", id="collection variable"),
        pytest.param(
            "mlflow_server_zzz",
            "remove it; the README of mlflow_server lists the inputs",
            id="nothing near",
        ),
    ],
)
def test_misspelt_input_is_found_with_the_near_name(name: str, instead: str) -> None:
    (problem,) = unknown_inputs([name, "mlflow_server_port"], "mlflow_server", OPTIONS, ROLES)

    assert name in problem.found
    assert problem.instead == instead


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mlflow_server_port", id="an input"),
        pytest.param("mlflow_artifact_root", id="a collection variable"),
        pytest.param("mlflow_client_prot", id="another role's to judge"),
        pytest.param("mlflow_nfs_mount_path", id="another role's input"),
        pytest.param("mlflow_team_name", id="a stranger's own"),
        pytest.param("ansible_port", id="not mlflow's"),
        pytest.param("__mlflow_server_anything", id="an internal"),
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert unknown_inputs([name], "mlflow_server", OPTIONS, ROLES) == []
