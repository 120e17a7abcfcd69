"""A server's environment file, its databases, and the program that is tested on them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import make_url

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from lab.databases import ODD, Certificates, Server
from tools import stage

PROGRAM = stage.REPOSITORY / "roles/mlflow_server/files/mlflow-database"
SEED = Path(__file__).with_name("seed.py")
NEWEST = "3.17.2"
RELEASES = ("2.22.5", "3.1.4", NEWEST)
SECONDS = 300


def release(version: str) -> Path:
    """Return the interpreter of a release's virtual environment, made once from the role's lock."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lock = stage.REPOSITORY / f"roles/mlflow_server/files/locks/mlflow-{version}-py{python}.txt"
    name = f"mlflow-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    place = stage.REPOSITORY / ".cache/releases" / name
    if not (place / "done").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(place / "bin/python")]
        subprocess.run([*install, "--require-hashes", "--requirement", str(lock)], check=True)
        if version != NEWEST:
            # Releases before 3.2 compare numbers with text, which PostgreSQL refuses by the driver in the lock.
            subprocess.run([*install, "psycopg2-binary"], check=True)
        (place / "done").touch()
    return place / "bin/python"


@dataclass
class Site:
    """What the role mlflow_server has left on a host, as far as the program reads it."""

    directory: Path
    uri: str
    version: str = NEWEST
    server: Server | None = None
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """The kind of database."""
        return str(make_url(self.uri).get_backend_name())

    @property
    def file(self) -> Path:
        """The file of SQLite."""
        return Path(str(make_url(self.uri).database))

    def address(self, version: str) -> str:
        """Return the database's address with the driver that a release can use."""
        return self.uri if version == NEWEST else self.uri.replace("+psycopg:", "+psycopg2:")

    def command(self, *arguments: str | Path, version: str = "") -> list[str]:
        """Return the command line of the program."""
        version = version or self.version
        path = self.directory / "server.env"
        path.write_text(environment.render({"MLFLOW_BACKEND_STORE_URI": self.address(version), **self.more}))
        python = str(release(version))
        # -B: nothing is to appear among the role's files.
        return [python, "-I", "-B", str(PROGRAM), "--environment", str(path), *map(str, arguments)]

    def run(self, *arguments: str | Path, version: str = "") -> dict[str, Any]:
        """Run the program, which has to succeed, and return its answer."""
        ran = self._run(*arguments, version=version)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def fail(self, *arguments: str | Path) -> dict[str, str]:
        """Run the program, which has to fail, and return its error."""
        ran = self._run(*arguments)
        assert (ran.returncode, ran.stderr) == (1, ""), ran.stdout + ran.stderr
        error: dict[str, str] = json.loads(ran.stdout)["error"]
        assert set(error) == {"found", "why", "instead"}
        return error

    def _run(self, *arguments: str | Path, version: str = "") -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments, version=version)
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd="/")

    def mlflow(self, do: str, version: str = "") -> dict[str, Any]:
        """Have a release write to the database, or tell what it reads there."""
        version = version or self.version
        command = [str(release(version)), "-I", str(SEED), do, self.address(version)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=self.directory)
        assert ran.returncode == 0, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def upgrade(self) -> None:
        """Bring the schema to the newest release's."""
        command = [str(release(NEWEST).with_name("mlflow")), "db", "upgrade", self.uri]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=self.directory)
        assert ran.returncode == 0, ran.stderr

    @property
    def name(self) -> str:
        """The database's name on its server."""
        return str(make_url(self.uri).database)

    def query(self, statement: str) -> str:
        """Run SQL in the server's database as its administrator."""
        assert self.server is not None
        return self.server.execute(statement, self.name)


def make_site(directory: Path, engine: str, name: str, server: Server | None, certificates: Certificates) -> Site:
    """Return a site with an empty database of its own, reached through TLS."""
    password = quote(ODD, safe="")
    if server is None:
        (directory / "backend").mkdir()
        return Site(directory, f"sqlite:///{directory}/backend/mlflow.db")
    if engine == "postgresql":
        literal = "'" + ODD.replace("'", "''") + "'"
        server.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD {literal};", "postgres")
        server.execute(f"CREATE DATABASE {name} OWNER {name};", "postgres")
        tls = f"?sslmode=verify-full&sslrootcert={quote(str(certificates.authority))}"
        uri = f"postgresql+psycopg://{name}:{password}@localhost:{server.port}/{name}{tls}"
    else:
        literal = "'" + ODD.replace("\\", "\\\\").replace("'", "\\'") + "'"
        server.execute(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4; CREATE USER {name}@'%' IDENTIFIED BY {literal} REQUIRE SSL;"
            f"GRANT ALL ON {name}.* TO {name}@'%'; GRANT ALL ON {name}_verify_scratch.* TO {name}@'%';",
            "mysql",
        )
        uri = f"mysql+pymysql://{name}:{password}@localhost:{server.port}/{name}?ssl_ca={quote(str(certificates.authority))}"
    return Site(directory, uri, server=server)
