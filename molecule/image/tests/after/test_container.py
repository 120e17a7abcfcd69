"""What users want of a container: it turns healthy, takes runs and artifacts, keeps its secrets, and stops."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from lab.container import Server, docker, log_run, prove, refusal

UID, SHARED_GID = 850, 851
PYTHON = "/opt/mlflow/bin/python"
CONTAINER = (PYTHON, "-I", "/opt/mlflow/libexec/mlflow-container")


def test_run_of_a_user_arrives(healthy: Server) -> None:
    logged = log_run(healthy)

    assert logged["artifact_uri"].startswith("mlflow-artifacts:/" if healthy.access == "proxied" else "/")
    prove(logged, healthy)


def test_the_shared_group_can_read_and_delete_what_the_server_writes(healthy: Server) -> None:
    if healthy.access == "direct":
        docker("exec", healthy.name, *CONTAINER, "mkdir", f"{healthy.root}/x")
    made = [path.stat() for path in healthy.root.rglob("*") if path.stat().st_uid == UID]

    assert made
    assert {(status.st_gid, stat.S_IMODE(status.st_mode) & 0o067) for status in made} <= {
        (SHARED_GID, 0o060),
    }


def test_nobody_in_it_is_root(healthy: Server) -> None:
    uids = docker("top", healthy.name, "-eo", "pid,uid").splitlines()[1:]

    assert {line.split()[1] for line in uids} == {str(UID)}
    assert docker("exec", healthy.name, "id", "-G").split() == ["850", "851"]
    effective = docker("exec", healthy.name, "grep", "CapEff", "/proc/1/status")
    assert int(effective.split()[1], 16) == 0


def test_secrets_are_in_no_argument_and_not_in_what_the_engine_tells(healthy: Server) -> None:
    assert "planted-secret" not in docker("inspect", healthy.name)
    assert "planted-secret" not in docker("top", healthy.name, "-eo", "pid,args")


def test_strangers_names_are_refused(healthy: Server) -> None:
    """The file's settings are in force."""
    for host, status in (("evil.test", 403), ("ml.example.org", 200)):
        with closing(HTTPConnection(urlsplit(healthy.url).netloc, timeout=30)) as connection:
            connection.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Host": host})
            assert connection.getresponse().status == status


def test_a_server_whose_database_does_not_answer_is_not_ready(healthy: Server) -> None:
    """Unlike /health, which goes on saying OK."""
    ready = [healthy.name, *CONTAINER, "ready"]
    docker("exec", *ready)
    with closing(sqlite3.connect(healthy.backend / "planted-secret.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        with closing(HTTPConnection(urlsplit(healthy.url).netloc, timeout=30)) as connection:
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200
        assert "MLflow is not ready" in refusal("exec", *ready)
    docker("exec", *ready)


def test_it_stops_by_itself_and_starts_again(healthy: Server) -> None:
    docker("stop", "--time", "60", healthy.name)
    assert healthy.inspect()["State"]["ExitCode"] == 0
    docker("start", healthy.name)


def test_nothing_is_compiled_at_a_start(image: str, strict: tuple[str, ...]) -> None:
    """Nobody could write it: every start would take twice as long."""
    script = (
        "import os, sys, mlflow.cli, mlflow.server.handlers, mlflow.server.fastapi_app, uvicorn\n"
        "import mlflow.store.tracking.sqlalchemy_store\n"
        "files = {m.__cached__ for m in list(sys.modules.values()) if getattr(m, '__cached__', None)}\n"
        "missing = sorted(f for f in files if not os.path.exists(f))\n"
        "print(len(files), missing)\n"
    )
    loaded, _space, missing = (
        docker("run", "--rm", *strict, "--entrypoint", PYTHON, image, "-c", script).splitlines()[-1].partition(" ")
    )

    assert int(loaded) > 500
    assert missing == "[]"


def test_bytecode_is_not_stale(image: str) -> None:
    said = docker("run", "--rm", "--entrypoint", PYTHON, image, "-v", "-c", "import mlflow.server.handlers", stdin="")
    assert "bytecode is stale" not in said


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "MLFLOW_BACKEND_STORE_URI is not set"),
        (["MLFLOW_ENVIRONMENT_FILE=/nowhere"], "the environment file can't be read"),
        (["MLFLOW_BACKEND_STORE_URI=sqlite:////data/x.db"], "the database's directory /data is not writable here"),
        (["MLFLOW_BACKEND_STORE_URI=sqlite:////tmp/x.db"], "artifacts would be lost"),
        (
            ["MLFLOW_BACKEND_STORE_URI=sqlite:////tmp/x.db", "MLFLOW_DEFAULT_ARTIFACT_ROOT=/mnt/not-mounted"],
            "the artifact directory /mnt/not-mounted is not usable here",
        ),
    ],
)
def test_what_would_fail_later_or_be_lost_is_refused(
    image: str, strict: tuple[str, ...], given: list[str], reason: str
) -> None:
    assert reason in refusal(
        "run", "--rm", "--name", "mlflow-image-refused", *strict, *(f"--env={one}" for one in given), image
    )


def test_other_programs_run_with_the_same_environment(image: str, strict: tuple[str, ...]) -> None:
    assert docker("run", "--rm", *strict, image, "mlflow", "--version").endswith("3.17.2")
