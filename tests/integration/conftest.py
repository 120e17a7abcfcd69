"""What integration tests share: real programs on this machine, and no host of a lab."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab import databases as servers
from lab import requirements
from lab.base import LabError, Places, Progress
from lab.databases import Certificates, Server
from tests.integration.databases import Database, create
from tools import stage

stage.link()
sys.path.insert(0, str(stage.LINKED))
NewDatabase = Callable[[str], Database]


@pytest.fixture(scope="session")
def free_ports() -> list[int]:
    """Ports of the loopback that nobody listens on."""
    held = [socket.create_server(("127.0.0.1", 0)) for _each in range(6)]
    numbers = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return numbers


@pytest.fixture(scope="session")
def public_directory() -> Iterator[Path]:
    """A directory that the accounts of services can enter, as pytest's own can't be."""
    with tempfile.TemporaryDirectory(prefix="selfhosted-mlflow-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def databases() -> None:
    """PostgreSQL and MariaDB are installed, or that can't be done here."""
    try:
        requirements.require(Places.from_environment(os.environ), "databases", Progress("databases"))
        servers.demand_root()
    except LabError as error:
        pytest.skip(f"SKIPPED: {error}")


@pytest.fixture(scope="session")
def certificates(public_directory: Path, databases: None) -> Certificates:
    return servers.make_certificates(servers.subdirectory(public_directory, "certificates"))


@pytest.fixture(scope="session")
def postgresql(public_directory: Path, certificates: Certificates) -> Iterator[Server]:
    """Forty connections, seven for `narrow`; by password everybody needs TLS but for the database `plain`."""
    password = servers.ODD.replace("'", "''")
    directory = servers.subdirectory(public_directory, "postgresql")
    with ExitStack() as stack:
        server = stack.enter_context(servers.postgresql(directory, certificates, {"max_connections": "40"}))
        for statement in (
            f"CREATE ROLE mlflow LOGIN PASSWORD '{password}'",
            "CREATE DATABASE mlflow OWNER mlflow",
            "CREATE DATABASE plain OWNER mlflow",
            "CREATE DATABASE foreign_one",
            f"CREATE ROLE narrow LOGIN CONNECTION LIMIT 7 PASSWORD '{password}'",
            "CREATE DATABASE narrow OWNER narrow",
        ):
            server.execute(statement, "postgres")
        yield server


@pytest.fixture(scope="session")
def mariadb(public_directory: Path, certificates: Certificates) -> Iterator[Server]:
    """Forty connections, seven for `narrow`; `tls_only` needs TLS."""
    password = servers.ODD.replace("\\", "\\\\").replace("'", "\\'")
    directory = servers.subdirectory(public_directory, "mariadb")
    with ExitStack() as stack:
        server = stack.enter_context(servers.mariadb(directory, certificates, {"max-connections": "40"}))
        for statement in (
            "CREATE DATABASE mlflow",
            "CREATE DATABASE plain",
            "CREATE DATABASE foreign_one",
            f"CREATE USER mlflow@'%' IDENTIFIED BY '{password}'",
            "GRANT ALL ON mlflow.* TO mlflow@'%'",
            "GRANT ALL ON plain.* TO mlflow@'%'",
            f"CREATE USER tls_only@'%' IDENTIFIED BY '{password}' REQUIRE SSL",
            "GRANT ALL ON mlflow.* TO tls_only@'%'",
            f"CREATE USER narrow@'%' IDENTIFIED BY '{password}' WITH MAX_USER_CONNECTIONS 7",
            "GRANT ALL ON mlflow.* TO narrow@'%'",
        ):
            server.execute(statement, "mysql")
        yield server


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest, certificates: Certificates) -> NewDatabase:
    """Make empty databases with accounts of their own, on a server that is started when it is first asked for."""
    numbers = itertools.count(1)

    def make(engine: str) -> Database:
        server: Server = request.getfixturevalue({"mysql": "mariadb"}.get(engine, engine))
        return create(server, f"site{next(numbers)}", certificates)

    return make


@pytest.fixture(scope="session")
def fast_directory() -> Iterator[Path]:
    """A directory in memory where that can be: MLflow has SQLite flush every call."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of so many megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
