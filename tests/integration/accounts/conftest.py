"""Real releases of MLflow with accounts, as the role mlflow_server configures them, on this machine."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import basic_auth, environment
from tests.integration.moves.conftest import serving
from tests.integration.releases import EACH, Release, release
from tools import stage

FILES = stage.REPOSITORY / "roles/mlflow_server/files"
FIRST = "first: 100%s = p@ss/#;word"
SEARCH = "api/2.0/mlflow/experiments/search"
Reply = tuple[int, dict[str, Any]]


def ask(url: str, who: tuple[str, str] | None, path: str = SEARCH, body: dict[str, Any] | None = None) -> Reply:
    """Ask a server as somebody; without a path and a body, for its experiments."""
    if path == SEARCH and body is None:
        body = {"max_results": 100}
    headers = {"Content-Type": "application/json"}
    if who:
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(who).encode()).decode()}"
    address = urllib.parse.urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)) as asked:
        asked.request(
            "GET" if body is None else "POST", f"/{path}", None if body is None else json.dumps(body), headers
        )
        with asked.getresponse() as answer:
            raw = answer.read()
    with contextlib.suppress(ValueError):
        return answer.status, json.loads(raw)
    return answer.status, {}


@dataclass(frozen=True)
class Site:
    """The files of one server with accounts."""

    release: Release
    root: Path

    @property
    def accounts(self) -> Path:
        return self.root / "accounts.db"

    def configure(self, password: str = "", database: str = "", **more: str) -> dict[str, str]:
        """Do what the module basic_auth_files does, and return the server's environment."""
        ini, env = self.root / "basic_auth.ini", self.root / "basic_auth.env"
        present = basic_auth.Files(*(path.read_text() if path.exists() else "" for path in (ini, env)))
        wished = basic_auth.Wished("admin", "READ", database or f"sqlite:///{self.accounts}", password)
        made = iter(("g" * 24, "k" * 24))
        planned = basic_auth.plan(wished, present, lambda: next(made), "Ansible managed")
        ini.write_text(planned.ini)
        env.write_text(planned.env)
        return {
            **environment.parse(planned.env),
            "MLFLOW_AUTH_CONFIG_PATH": str(ini),
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.root}/mlflow.db",
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": f"{self.root}/artifacts",
            **more,
        }

    @staticmethod
    def migration(version: Release, uri: str) -> list[str]:
        """Return the command that makes the tables of the accounts."""
        program = (
            "import sys, sqlalchemy; from mlflow.server.auth.db import utils;"
            "utils.migrate(sqlalchemy.create_engine(sys.argv[1]), 'head')"
        )
        return [str(version.python), "-I", "-c", program, uri]

    def make_tables(self) -> None:
        """Have the release make the tables of its accounts' database, without anybody in them."""
        command = self.migration(self.release, f"sqlite:///{self.accounts}")
        subprocess.run(command, check=True, timeout=120)

    def set_password(self, variables: dict[str, str]) -> str:
        """Run what the unit runs before each start, and return what it said."""
        command = [str(self.release.python), "-I", str(FILES / "mlflow-admin-password")]
        given = {"PATH": os.environ["PATH"], **variables}
        ran = subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @contextmanager
    def serving(self, variables: dict[str, str]) -> Iterator[str]:
        """Start it as the unit does."""
        self.set_password(variables)
        with serving(self.release, self.root, variables, "--app-name", "basic-auth") as url:
            yield url


@pytest.fixture(params=EACH)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A server of each release for which the server's role has a lock; it is not started."""
    return Site(release(request.param), tmp_path)
