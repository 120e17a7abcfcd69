"""The built image, and servers that run from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from lab import docker as lab_docker
from lab import operations
from lab.base import Places, Progress
from lab.container import Composed, Server, docker

EXAMPLE = Path(__file__).parents[3] / "examples/compose/compose.yaml"
NAME = "127.0.0.1:15055/test/mlflow"
UID, GID, SHARED_GID = 850, 850, 851
SQLITE = "sqlite:////var/lib/mlflow/backend/planted-secret.db"
#: As strictly as any engine would run it.
STRICT = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp", "--memory=1g")


@pytest.fixture(scope="session")
def strict() -> tuple[str, ...]:
    return STRICT


@pytest.fixture(scope="session")
def image() -> str:
    """What the playbook built, by name and tag."""
    return docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", NAME)


def directories(at: Path) -> tuple[Path, Path]:
    """Make the directories of the database and of the artifacts as the role mlflow_directories does."""
    made = at / "backend", at / "artifacts"
    for path, group, mode in zip(made, (GID, SHARED_GID), (0o750, 0o2770), strict=True):
        path.mkdir()
        os.chown(path, UID, group)
        path.chmod(mode)
    return made


def environment_file(at: Path, root: Path, proxied: bool, backend: str = SQLITE) -> Path:
    """Write the environment file as the role mlflow_server does."""
    values = {
        # Of the host's unit; no such directory is in the container.
        "HOME": "/var/cache/mlflow",
        "TMPDIR": "/var/tmp",
        "MLFLOW_BACKEND_STORE_URI": backend,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/" if proxied else str(root),
        "MLFLOW_SERVE_ARTIFACTS": proxied,
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*.example.org,localhost:5000,127.0.0.1:*",
        **({"MLFLOW_ARTIFACTS_DESTINATION": str(root)} if proxied else {}),
    }
    file = at / "server.env"
    file.write_text(environment.render(values, "as the role mlflow_server writes it"))
    os.chown(file, 0, GID)
    file.chmod(0o640)
    return file


@pytest.fixture(scope="session", params=["proxied", "direct"])
def server(request: pytest.FixtureRequest, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the environment file of the role mlflow_server, for both ways of the artifacts."""
    directory = tmp_path_factory.mktemp(request.param)
    backend, root = directories(directory)
    file = environment_file(directory, root, request.param == "proxied")
    mounts = [f"{file}:/etc/mlflow/server.env:ro", f"{backend}:/var/lib/mlflow/backend", f"{root}:{root}"]
    volumes = [f"--volume={mount}" for mount in mounts]
    name = f"mlflow-image-{request.param}"
    docker("run", "--detach", "--name", name, *STRICT, *volumes, "--publish=127.0.0.1::5000", image)
    yield Server(name, image, request.param, root, backend)
    docker("rm", "--force", name)


@pytest.fixture(scope="session")
def healthy(server: Server) -> Server:
    """The server, once the image's own check calls it healthy."""
    server.wait_until_healthy()
    return server


@pytest.fixture(scope="session")
def compose() -> list[str]:
    places = Places.from_environment(os.environ)
    return lab_docker.compose(places, operations.settings(places), Progress("docker"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def composed(
    request: pytest.FixtureRequest, image: str, compose: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composed]:
    """The example as it is, with directories and names of this test."""
    at = tmp_path_factory.mktemp(request.param)
    backend, root = directories(at)
    password = at / "postgresql_password"
    password.write_text("planted-secret\n")
    password.chmod(0o600)
    with_database = request.param == "postgresql"
    uri = "postgresql+psycopg://mlflow:planted-secret@postgresql/mlflow" if with_database else SQLITE
    project = f"mlflow-image-{request.param}"
    variables = {
        "COMPOSE_PROFILES": "postgresql" if with_database else "",
        "MLFLOW_IMAGE": image,
        "MLFLOW_LISTEN": "127.0.0.1:15056",
        "MLFLOW_ENVIRONMENT_FILE": str(environment_file(at, root, proxied=True, backend=uri)),
        "MLFLOW_BACKEND": str(backend),
        "MLFLOW_ARTIFACT_ROOT": str(root),
        "POSTGRESQL_IMAGE": "selfhosted-mlflow/postgresql:15",
        "POSTGRESQL_PASSWORD_FILE": str(password),
    }
    command = (*compose, "--file", str(EXAMPLE), "--project-name", project)
    found = Composed(command, variables, Server(f"{project}-mlflow-1", image, "proxied", root, backend))
    try:
        found.run("up", "--detach", "--wait")
        yield found
    finally:
        found.run("down", "--volumes")
