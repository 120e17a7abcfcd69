"""The image is made from what the server's role installs, and its program reads what that role writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from tests.unit.roles.role_files import ROLES, Role
from tools.locks import PYTHONS

IMAGE, SERVER = Role(ROLES / "mlflow_image"), Role(ROLES / "mlflow_server")
CONTAINERFILE = (IMAGE.path / "files/Containerfile").read_text(encoding="utf-8")


def test_it_loads_what_the_server_loads() -> None:
    ours, theirs = (role.yaml("vars", "main.yml")[f"__{role.name}_imports"] for role in (IMAGE, SERVER))
    assert ours.replace("mlflow_image", "mlflow_server") == theirs


def test_it_runs_on_every_python_there_are_locks_for() -> None:
    assert tuple(IMAGE.yaml("vars", "main.yml")["__mlflow_image_pythons"]) == PYTHONS


def test_every_argument_of_the_build_is_given() -> None:
    declared = set(re.findall(r"^ARG (\w+)", CONTAINERFILE, re.MULTILINE))
    assert set(IMAGE.yaml("vars", "main.yml")["__mlflow_image_arguments"]) == declared


def test_packages_come_with_their_hashes_and_wheels_only() -> None:
    assert "--require-hashes --no-deps --only-binary :all:" in CONTAINERFILE


def test_where_packages_come_from_is_copied_into_the_first_stage_only() -> None:
    first, last = re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE)[1:]
    assert "COPY pip.conf" in first
    assert re.findall(r"^COPY (.*)", last, re.MULTILINE) == ["--from=build /opt/mlflow /opt/mlflow"]


def test_nothing_needs_buildkit() -> None:
    assert not re.search(r"--mount|--chmod|<<|# syntax", CONTAINERFILE)


@pytest.fixture
def container(tmp_path: Path) -> Path:
    """The program as it lies in the image, with a server that tells what it is given."""
    libexec, programs = tmp_path / "libexec", tmp_path / "bin"
    for directory in (libexec, programs, tmp_path / "art"):
        directory.mkdir()
    shutil.copy(IMAGE.path / "files/mlflow-container", libexec)
    shutil.copy(str(environment.__file__), libexec / "environment.py")
    (libexec / "mlflow-ready").write_text("import sys\nprint(sys.argv[1:])\n")
    mlflow = programs / "mlflow"
    mlflow.write_text('#!/bin/sh\necho "$@ umask=$(umask)"\nexec env\n')
    mlflow.chmod(0o755)
    return libexec / "mlflow-container"


def run(program: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(program), *arguments]
    variables = {"PATH": os.environ["PATH"], **given}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=30)


def enough(container: Path) -> dict[str, str]:
    home = container.parents[1]
    return {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{home}/x.db", "MLFLOW_ARTIFACTS_DESTINATION": f"file://{home}/art"}


def test_what_the_container_is_given_wins_over_the_file_and_the_file_over_the_defaults(container: Path) -> None:
    file = container.parents[1] / "server.env"
    file.write_text(environment.render({"MLFLOW_PORT": 8080, "MLFLOW_WORKERS": 3, "X": 'a "b" $c', "HOME": "/host"}))
    ran = run(container, MLFLOW_ENVIRONMENT_FILE=str(file), HOME="/tmp", MLFLOW_PORT="9", **enough(container))

    lines = ran.stdout.splitlines()
    assert lines[0] == "server umask=0007", ran.stderr
    assert {"MLFLOW_PORT=9", "MLFLOW_WORKERS=3", 'X=a "b" $c', "HOME=/tmp", "MLFLOW_HOST=0.0.0.0"} <= set(lines)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"MLFLOW_BACKEND_STORE_URI": ""}, "MLFLOW_BACKEND_STORE_URI is not set"),
        ({"MLFLOW_BACKEND_STORE_URI": "sqlite:////nowhere/x.db"}, "directory /nowhere is not writable"),
        ({"MLFLOW_BACKEND_STORE_URI": "sqlite:///x.db"}, ""),
        ({"MLFLOW_ARTIFACTS_DESTINATION": ""}, "artifacts would be lost"),
        ({"MLFLOW_ARTIFACTS_DESTINATION": "/nowhere"}, "the artifact directory /nowhere is not usable"),
        ({"MLFLOW_DEFAULT_ARTIFACT_ROOT": "/nowhere"}, "the artifact directory /nowhere is not usable"),
        ({"MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://bucket/x", "MLFLOW_ARTIFACTS_DESTINATION": ""}, ""),
        ({"MLFLOW_ENVIRONMENT_FILE": "/nowhere/x.env"}, "the environment file can't be read"),
    ],
)
def test_a_start_that_would_fail_later_is_refused(container: Path, given: dict[str, str], reason: str) -> None:
    ran = run(container, "serve", **{**enough(container), **given})
    assert reason in ran.stderr
    assert (ran.returncode != 0) is bool(reason)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, "localhost:5000"),
        ({"MLFLOW_PORT": "8080"}, "localhost:8080"),
        ({"MLFLOW_SERVER_ALLOWED_HOSTS": "*.example.org, ml.example.org:5000,ml"}, "ml.example.org:5000"),
    ],
)
def test_it_is_ready_when_a_client_s_name_is_answered(container: Path, given: dict[str, str], host: str) -> None:
    ran = run(container, "ready", **given)
    assert ran.stdout == f"['--host-header', '{host}', '--deadline', '5']\n"


def test_other_programs_run_too(container: Path) -> None:
    assert run(container, "mlflow", "gc").stdout.startswith("gc umask=0007\n")
    absent = run(container, "no-such-program")
    assert (absent.returncode, absent.stderr) == (
        127,
        "mlflow-container: no-such-program: No such file or directory\n",
    )
