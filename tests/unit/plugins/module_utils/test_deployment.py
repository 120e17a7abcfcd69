"""What a hand-made server is, told from its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import deployment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Deployment, Judge, Process

PYTHON, MLFLOW = "/home/alice/mlflow-venv/bin/python3", "/home/alice/mlflow-venv/bin/mlflow"


def judge(
    *arguments: str, has_file_store: bool = False, environment: dict[str, str] | None = None
) -> tuple[Deployment, str]:
    argv = (PYTHON, MLFLOW, "server", *arguments)
    process = Process(7, 1, 1000, argv, "/home/alice", environment or {})
    judge = Judge(process, "3.1.4", has_file_store)
    return judge.deployment(), "\n".join(map(str, judge.problems))


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ((PYTHON, MLFLOW, "server"), True),
        ((PYTHON, MLFLOW, "ui", "--port", "80"), True),
        (("mlflow", "server"), True),
        ((PYTHON, "-m", "mlflow", "server"), True),
        ((PYTHON, MLFLOW, "gc"), False),
        ((PYTHON, MLFLOW), False),
        (("vi", "/etc/mlflow"), False),
        (("grep", "mlflow", "server.log"), False),
        ((PYTHON, "-m", "gunicorn", "-w", "1", "mlflow.server:app"), False),
        ((), False),
    ],
)
def test_servers(argv: tuple[str, ...], expected: bool) -> None:
    assert deployment.serves(argv) is expected


@pytest.mark.parametrize(
    ("arguments", "environment", "database_file", "access", "directory"),
    [
        ((), {}, "/home/alice/mlflow.db", "proxied", "/home/alice/mlartifacts"),
        (
            ("--backend-store-uri", "sqlite:////data/m.db", "--default-artifact-root", "file:///data/a"),
            {},
            *("/data/m.db", "direct", "/data/a"),
        ),
        (
            ("--backend-store-uri=sqlite:///d/m.db", "--default-artifact-root=./a/"),
            {},
            *("/home/alice/d/m.db", "direct", "/home/alice/a"),
        ),
        (
            ("--backend-store-uri", "sqlite:////data/m.db", "--no-serve-artifacts"),
            {},
            *("/data/m.db", "direct", "/home/alice/mlruns"),
        ),
        (
            ("--default-artifact-root", "mlflow-artifacts:/", "--artifacts-destination", "/data/a"),
            {"MLFLOW_BACKEND_STORE_URI": "sqlite:////data/e.db"},
            *("/data/e.db", "proxied", "/data/a"),
        ),
        # The command line goes before the environment.
        (
            ("--backend-store-uri", "sqlite:////data/m.db"),
            {"MLFLOW_BACKEND_STORE_URI": "sqlite:////data/e.db", "MLFLOW_SERVE_ARTIFACTS": "false"},
            *("/data/m.db", "direct", "/home/alice/mlruns"),
        ),
    ],
)
def test_where_its_data_are(
    arguments: tuple[str, ...], environment: dict[str, str], database_file: str, access: str, directory: str
) -> None:
    found, problems = judge(*arguments, environment=environment)
    assert problems == ""
    assert (found.database_file, found.artifact_access, found.artifact_directory) == (database_file, access, directory)


@pytest.mark.parametrize(
    ("arguments", "file_store", "told"),
    [
        ((), True, "mlflow migrate-filestore"),
        (("--backend-store-uri", "./mlruns"), False, "mlflow migrate-filestore"),
        (("--backend-store-uri", "file:///data/mlruns"), False, "mlflow migrate-filestore"),
        (("--app-name", "basic-auth"), False, "--app-name basic-auth"),
        (("--artifacts-only",), False, "artifacts only"),
        (("--default-artifact-root", "s3://bucket/a"), False, "s3://bucket/a"),
        (("--artifacts-destination", "gs://bucket/a"), False, "gs://bucket/a"),
        (("--registry-store-uri", "sqlite:////data/r.db"), False, "registry"),
    ],
)
def test_what_is_refused(arguments: tuple[str, ...], file_store: bool, told: str) -> None:
    assert told in judge(*arguments, has_file_store=file_store)[1]


def test_a_password_is_not_shown() -> None:
    uri = "postgresql://mlflow:s3cr3t@db.example.org/mlflow"
    found, problems = judge("--backend-store-uri", uri, "-p", "8080", "-h", "127.0.0.1")
    assert problems == ""
    assert "s3cr3t" not in repr(found)
    assert deployment.variables(found) == {
        "mlflow_artifact_access": "proxied",
        "mlflow_server_backend_store_uri": "postgresql+psycopg://…@db.example.org/mlflow",
        "mlflow_server_bind_address": "127.0.0.1",
        "mlflow_server_port": 8080,
        "mlflow_version": "3.1.4",
    }


def test_a_password_is_not_in_a_refusal() -> None:
    assert "s3cr3t" not in judge("--backend-store-uri", "postgres://mlflow:s3cr3t/@db.example.org/mlflow")[1]


def test_a_unit_of_a_user_is_refused() -> None:
    process = Process(7, 1, 1000, (PYTHON, MLFLOW, "server"), "/home/alice", {}, user_unit="ml.service")
    judge = Judge(process, "3.1.4", has_file_store=False)
    judge.deployment()
    assert "`systemctl --user disable --now ml.service`" in "\n".join(map(str, judge.problems))


def test_secrets_of_the_environment_are_not_in_a_traceback() -> None:
    assert "s3cr3t" not in repr(Process(7, 1, 0, (), "/", {"AWS_SECRET_ACCESS_KEY": "s3cr3t"}))


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/mlflow.service\n", "mlflow.service"),
        ("1:name=systemd:/system.slice/my-ml.service\n0::/\n", "my-ml.service"),
        ("0::/system.slice/system-mlflow.slice/mlflow@a.service\n", "mlflow@a.service"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/mlflow.service\n", ""),
        ("0::/docker/0123\n", ""),
    ],
)
def test_units(cgroups: str, unit: str) -> None:
    assert deployment.unit_of(cgroups) == unit


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/mlflow.service\n", "mlflow.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n", ""),
        ("0::/system.slice/mlflow.service\n", ""),
    ],
)
def test_units_of_users(cgroups: str, unit: str) -> None:
    assert deployment.user_unit_of(cgroups) == unit


@pytest.mark.parametrize(
    ("argv", "packages"),
    [
        ((".venv/bin/python3", "/elsewhere/mlflow"), ".venv/lib/python3.11"),
        (("/usr/bin/python3", ".local/bin/mlflow"), ".local/lib/python3.13"),
    ],
)
def test_the_release_that_is_installed(tmp_path: Path, argv: tuple[str, ...], packages: str) -> None:
    (tmp_path / packages / "site-packages/mlflow-3.1.4.dist-info").mkdir(parents=True)
    assert deployment.installed_version(Process(7, 1, 1000, (*argv, "server"), str(tmp_path), {})) == "3.1.4"


def test_versions() -> None:
    names = ["mlflow", "mlflow_skinny-3.1.4.dist-info", "mlflow-3.1.4.dist-info"]
    assert deployment.version_in(names) == "3.1.4"
    assert deployment.version_in(["flask"]) == ""
