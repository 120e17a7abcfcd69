"""A server's environment file, its databases, and the program that is tested on them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from tests.integration.databases import Database
from tests.integration.releases import FILES, NEWEST, release
from tests.integration.seeds import address, seed

PROGRAM = FILES / "mlflow-database"
SECONDS = 300
RUNS = 12


@dataclass
class Site:
    """What the role mlflow_server has left on a host, as far as the program reads it."""

    directory: Path
    database: Database
    version: str = NEWEST
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The file of SQLite."""
        return Path(self.database.name)

    def command(self, *arguments: str | Path, version: str = "") -> list[str]:
        """Return the command line of the program."""
        version = version or self.version
        path = self.directory / "server.env"
        given = {"MLFLOW_BACKEND_STORE_URI": address(self.database, version), **self.more}
        path.write_text(environment.render(given))
        python = str(release(version).python)
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
        more = (str(RUNS), self.directory / "artifacts") if do == "write" else ()
        return seed(self.database, version or self.version, do, *more)

    def upgrade(self) -> None:
        """Bring the schema to the newest release's."""
        command = [str(release(NEWEST).directory / "bin/mlflow"), "db", "upgrade", self.database.uri]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=self.directory)
        assert ran.returncode == 0, ran.stderr
