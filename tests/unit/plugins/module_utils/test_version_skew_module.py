"""The module version_skew, with a server that says its release as MLflow does."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.modules import version_skew
from tests.unit.plugins.fake_tracking import Answer, Asked, serve


def run(server: bytes, client: str) -> dict[str, Any]:
    def respond(asked: Asked) -> Answer:
        return Answer(body=server) if asked.path == "/prefix/version" else Answer(404)

    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        with serve(respond) as fake:
            given = {"tracking_uri": f"{fake.url}/prefix", "client": client}
            with patch_module_args(given), pytest.raises(SystemExit):
                version_skew.main()
        said: dict[str, Any] = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = kept
    return said


def test_the_same_release_is_fine() -> None:
    said = run(b"3.17.2", "3.17.2")

    assert (said["server"], said.get("failed"), said.get("warnings")) == ("3.17.2", None, None)


def test_a_newer_minor_release_is_warned_of() -> None:
    assert "upgrade the server" in json.dumps(run(b"3.1.4", "3.17.2")["warnings"])


def test_a_newer_major_release_is_refused() -> None:
    said = run(b"2.22.5", "3.17.2")

    assert said["failed"]
    assert "set mlflow_client_version to 2.22.5" in said["msg"]


def test_who_is_not_mlflow_is_told() -> None:
    assert "does not say its release as MLflow does" in run(b"<html>", "3.17.2")["msg"]
