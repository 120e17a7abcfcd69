"""Bad input is refused before anything is built."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mlflow_image_bse": "debian"}, "write mlflow_image_base"),
        ({"mlflow_image_version": "99.0.0"}, "mlflow-99.0.0-py3.10.txt"),
        ({"mlflow_image_requirements": "/nowhere/locked.txt"}, "there is no /nowhere/locked.txt"),
        ({"mlflow_image_uid": 0}, "must not be root"),
        ({"mlflow_image_shared_gid": 850}, "only its own group may read its secrets"),
        ({"mlflow_image_name": "registry.example.org/MLflow"}, "lower-case letters"),
        ({"mlflow_image_name": "mlflow", "mlflow_image_push": True}, "means Docker Hub"),
        ({"mlflow_image_tag": "-x"}, "starts with none of the last two"),
    ],
)
def test_bad_input_is_refused(
    run_image: Callable[..., subprocess.CompletedProcess[str]], wrong: dict[str, Any], message: str
) -> None:
    run = run_image("--extra-vars", json.dumps(wrong))

    assert run.returncode == 2, run.stdout
    assert message in " ".join(run.stdout.split())
    assert "changed=0" in run.stdout
