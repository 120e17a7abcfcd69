"""Each release's client finds the name and password in the user's home, and the environment's come first."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.client_credentials import FILE, render
from tests.integration.accounts.conftest import FIRST
from tests.integration.releases import EACH, release

PROGRAM = "import json; from mlflow.utils.credentials import read_mlflow_creds; print(json.dumps(read_mlflow_creds()))"


@pytest.mark.parametrize("version", EACH)
def test_client_finds_them(version: str, tmp_path: Path) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(render("", "alice", FIRST))
    found = []
    for more in ({}, {"MLFLOW_TRACKING_USERNAME": "bob", "MLFLOW_TRACKING_PASSWORD": "of bob"}):
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **more}
        command = [str(release(version).python), "-c", PROGRAM]
        ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=120)
        found.append(json.loads(ran.stdout.splitlines()[-1]))

    assert found == [["alice", FIRST], ["bob", "of bob"]]
