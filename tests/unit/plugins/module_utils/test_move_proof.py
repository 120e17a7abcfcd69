"""Which artifacts a server is asked for after a move, and where."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import move_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Copied
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import DIRECT, PROXIED, Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_proof import Sample


@pytest.mark.parametrize(
    ("environment", "uri", "host"),
    [
        ({}, "http://127.0.0.1:5000", ""),
        ({"MLFLOW_HOST": "0.0.0.0", "MLFLOW_PORT": "8080"}, "http://127.0.0.1:8080", ""),
        ({"MLFLOW_HOST": "::", "MLFLOW_STATIC_PREFIX": "/ml"}, "http://[::1]:5000/ml", ""),
        ({"MLFLOW_SERVER_ALLOWED_HOSTS": "a.example.org,127.0.0.1:5000"}, "http://127.0.0.1:5000", ""),
        ({"MLFLOW_SERVER_ALLOWED_HOSTS": "*.example.org,a.example.org"}, "http://127.0.0.1:5000", "a.example.org"),
        ({"MLFLOW_SERVER_ALLOWED_HOSTS": "*"}, "http://127.0.0.1:5000", ""),
    ],
)
def test_where_the_server_is(environment: dict[str, str], uri: str, host: str) -> None:
    access = move_proof.access(environment)
    assert (access.uri, access.host_header) == (uri, host)
    assert access.problem() == ""


def moved(*paths: str) -> dict[str, Copied]:
    return {path: Copied(path, 3, 0, f"sha of {path}") for path in paths}


def test_a_file_of_each_run_that_has_any() -> None:
    files = moved("1/r1/artifacts/z", "1/r1/artifacts/a b/c", "1/r2/artifacts/x", "1/r22/artifacts/y")
    files["1/r3/artifacts/link"] = Copied("1/r3/artifacts/link", 0, 0, "")
    files["1/r4/artifacts/huge"] = Copied("1/r4/artifacts/huge", 1 << 40, 0, "sha")
    runs = [(name, f"/new/1/{name}/artifacts") for name in ("r1", "r2", "r3", "r4", "r5")]
    runs.append(("r6", "/elsewhere/1/r22/artifacts"))
    wanted = [
        Sample("r1", "a b/c", "sha of 1/r1/artifacts/a b/c"),
        Sample("r2", "x", "sha of 1/r2/artifacts/x"),
    ]
    assert move_proof.samples(runs, files, Root(DIRECT, "/new"), 10) == wanted
    proxied = [(name, f"mlflow-artifacts:/1/{name}/artifacts") for name in ("r1", "r2")]
    assert move_proof.samples(proxied, files, Root(PROXIED, "/new"), 10) == wanted


@pytest.mark.parametrize(("count", "asked"), [(0, 0), (1, 1), (3, 3), (7, 7), (20, 10)])
def test_no_more_than_so_many(count: int, asked: int) -> None:
    names = [f"r{number}" for number in range(10)]
    files = moved(*(f"1/{name}/artifacts/a" for name in names))
    runs = [(name, f"/new/1/{name}/artifacts") for name in names]
    found = move_proof.samples(runs, files, Root(DIRECT, "/new"), count)
    assert len(found) <= asked
    assert bool(found) is bool(asked)
