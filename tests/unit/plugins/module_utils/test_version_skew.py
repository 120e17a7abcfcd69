"""Which client goes with which server."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.version_skew import judge


@pytest.mark.parametrize(
    ("client", "server", "problem", "refused"),
    [
        ("3.17.2", "3.17.2", "", False),
        ("3.17.1", "3.17.2", "", False),
        ("3.17.2", "3.17.0", "", False),
        ("3.1.4", "3.17.2", "", False),
        ("3.17.2", "3.1.4", "upgrade the server", False),
        ("2.22.5", "3.17.2", "upgrade it", False),
        ("3.1.4", "2.22.5", "upgrade the server first", True),
        ("10.0.0", "9.20.0", "upgrade the server first", True),
        ("3.2.0rc1", "3.2.0.dev0", "", False),
    ],
)
def test_judge(client: str, server: str, problem: str, refused: bool) -> None:
    found = judge(client, server)

    assert (problem in found.problem, bool(found.problem), found.refused) == (True, bool(problem), refused)


@pytest.mark.parametrize("server", ["", "OK", "<html>"])
def test_no_release(server: str) -> None:
    with pytest.raises(ValueError, match="is no release"):
        judge("3.17.2", server)
