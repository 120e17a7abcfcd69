"""Logging a run and asking for it: a script in the place of a Python with MLflow, a fake of the server."""

from __future__ import annotations

import getpass
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import logged_run, program, run_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.run_proof import Check
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access
from tests.unit.plugins.fake_tracking import Answer, Asked, serve

CONTENT = b"x" * logged_run.SIZE
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PATH = f"{logged_run.DIRECTORY}/{logged_run.FILE}"
NAME = "mlflow-artifact-check-0123456789abcdef-00000001"
NEEDLE = "p4ssword-of-the-administrator"


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], str]:
    def make(text: str) -> str:
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\ncat >/dev/null\n{text}\n")
        script.chmod(0o755)
        return str(script)

    return make


REACHED = [
    {"version": "3.17.2"},
    {"experiment_id": "5"},
    {"run_id": "abc", "artifact_uri": "/mnt/5/abc/artifacts"},
    {"sha256": DIGEST},
]
LOGS = "\n".join(f"echo '{json.dumps(line)}'" for line in REACHED)


def server(listed: Any = None, content: bytes = CONTENT, status: int = 200) -> Callable[[Asked], Answer]:
    files = [{"path": PATH, "is_dir": False, "file_size": logged_run.SIZE}] if listed is None else listed

    def respond(asked: Asked) -> Answer:
        if asked.path.startswith("/get-artifact?"):
            assert "run_uuid=abc" in asked.path
            return Answer(status, content)
        return Answer(body={"root_uri": "x", **({"files": files} if files else {})})

    return respond


def prove(python: str, respond: Callable[[Asked], Answer], **more: Any) -> Finding:
    with serve(respond) as fake:
        access = Access(fake.url, "admin", NEEDLE)
        return run_proof.prove(Check(access, python, **{"patience": 0, **more}), getpass.getuser(), NAME)[1]


@pytest.mark.parametrize(
    ("respond", "name"),
    [
        (server(), "run_proved"),
        (server(listed=[]), "run_not_listed"),
        (server(listed=[{"path": PATH, "file_size": 0}]), "run_not_listed"),
        (server(listed=[{"path": "other", "file_size": logged_run.SIZE}]), "run_not_listed"),
        (server(content=b"y" * logged_run.SIZE), "run_differs"),
        (server(content=b""), "run_differs"),
        (server(status=500), "run_not_served"),
        (lambda asked: Answer(500), "run_not_listed"),
        (lambda asked: Answer(401), "api_refused"),
    ],
)
def test_only_the_server_is_believed(python: Callable[[str], str], respond: Any, name: str) -> None:
    assert prove(python(LOGS), respond).name == name


def test_waits_for_a_server_with_a_directory_cache(python: Callable[[str], str]) -> None:
    empty = iter([True, True])
    full = server()

    def respond(asked: Asked) -> Answer:
        return Answer() if "artifacts/list" in asked.path and next(empty, False) else full(asked)

    assert prove(python(LOGS), respond, patience=20).name == "run_proved"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'OSError: [Errno 30] Read-only file system' >&2; exit 1", "Errno 30"),
        (LOGS + "\nexit 3", "it said nothing"),
        ("\n".join(LOGS.splitlines()[:3]), "it said nothing"),
        ("sleep 30", "timed out"),
    ],
)
def test_a_run_that_was_not_logged(python: Callable[[str], str], script: str, said: str) -> None:
    began = time.monotonic()
    finding = prove(python(script), server(), timeout=3)

    assert (finding.name, said in finding.message) == ("run_failed", True), finding.message
    assert time.monotonic() - began < 20


def test_a_python_that_is_not_there(tmp_path: Path) -> None:
    finding = prove(str(tmp_path / "none"), server())

    assert finding.name == "run_failed"
    assert "mlflow_client_library" in finding.remedy


def test_a_user_that_is_not_there() -> None:
    finding = run_proof.prove(Check(Access("http://x"), "python"), "no-such-user", NAME)[1]

    assert finding.name == "probe_failed"


def test_the_users_program_gets_no_credentials_of_the_check() -> None:
    who = program.User("ann", 1000, 1000, (), "/home/ann")
    access = Access("http://ml", "admin", NEEDLE, "", "/etc/ca.pem")

    given = run_proof.environment(Check(access, "python", {"MLFLOW_TRACKING_PASSWORD": "anns"}), who)

    assert NEEDLE not in str(given)
    assert "admin" not in given.values()
    assert ("MLFLOW_TRACKING_PASSWORD", "anns") in given.items()
    assert given["MLFLOW_TRACKING_SERVER_CERT_PATH"] == "/etc/ca.pem"
    assert (given["HOME"], given["MLFLOW_TRACKING_URI"]) == ("/home/ann", "http://ml")


def test_arguments_hold_no_secret(python: Callable[[str], str], tmp_path: Path) -> None:
    note = tmp_path / "said"
    prove(python(f'echo "$@" > {note}\n{LOGS}'), server(), environment={"MLFLOW_TRACKING_PASSWORD": "anns-own"})

    assert NAME in note.read_text()
    assert NEEDLE not in note.read_text()
    assert "anns-own" not in note.read_text()


def test_errors_hold_no_secret_of_the_user(python: Callable[[str], str]) -> None:
    script = 'echo "ValueError: $MLFLOW_TRACKING_PASSWORD" >&2; exit 1'

    finding = prove(python(script), server(), environment={"MLFLOW_TRACKING_PASSWORD": "anns-own"})

    assert "ValueError: ***" in finding.message


@pytest.mark.parametrize(("arrives", "kept"), [(True, True), (False, False)])
def test_what_never_arrived_is_removed_from_this_host(
    python: Callable[[str], str],
    tmp_path: Path,
    arrives: bool,
    kept: bool,
) -> None:
    mine, others = tmp_path / "root/5/abc/artifacts/probe.bin", tmp_path / "root/4/old"
    script = LOGS.replace("/mnt/", f"{tmp_path}/root/") + f"\nmkdir -p {mine.parent} {others}; echo x > {mine}"

    prove(python(script), server() if arrives else server(listed=[]))

    assert mine.exists() is kept
    assert (tmp_path / "root/5").exists() is kept
    assert others.is_dir()
