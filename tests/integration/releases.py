"""MLflow's releases, each built once from the role's locks for all tests that run a real one."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, virtualenv
from tools import stage

OLD = ("2.22.5", "3.1.4")
NEWEST = "3.17.2"
RELEASES = (*OLD, NEWEST)
#: The same as parameters: with each change the newest, and the others where there is time.
EACH = [*(pytest.param(version, marks=pytest.mark.long) for version in OLD), NEWEST]
#: What an upgrade begins with, likewise.
BEGINNINGS = [pytest.param(OLD[0], marks=pytest.mark.long), OLD[1]]
FILES = stage.REPOSITORY / "roles/mlflow_server/files"
CACHE = stage.REPOSITORY / ".cache/integration"
#: Releases before 3.2 compare numbers with texts, which PostgreSQL refuses by the driver in the lock.
EXTRA = ("psycopg2-binary==2.9.10",)


@dataclass(frozen=True)
class Release:
    """An installed release; ``name`` is that of its directory."""

    version: str
    name: str

    @property
    def directory(self) -> Path:
        """Its virtual environment."""
        return CACHE / "venvs" / self.name

    @property
    def python(self) -> Path:
        """The interpreter that has its packages."""
        return self.directory / "bin/python"


@functools.cache
def release(version: str, driver: str = "") -> Release:
    """Return a release, built as the role does where that has not been done yet, by choice with a store's driver."""
    name = f"mlflow-{version}-with-{driver}" if driver else f"mlflow-{version}"
    lock = FILES / f"locks/{name}-py{sys.version_info[0]}.{sys.version_info[1]}.txt"
    recipe = virtualenv.Recipe(f"mlflow-{version}", lock.read_text(), EXTRA, os.path.realpath(sys.executable), "uv")
    layout = releases.Layout(str(CACHE))
    found = Release(version, recipe.release)
    if recipe.release not in releases.scan(layout).complete:
        directory, uv = layout.release(recipe.release), str(Path(sys.executable).with_name("uv"))
        shutil.rmtree(directory, ignore_errors=True)
        found.directory.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(virtualenv.create(recipe, directory, uv).argv, check=True)
        Path(directory, "requirements.txt").write_text(recipe.requirements)
        Path(directory, "constraints.txt").write_text(virtualenv.constraints(recipe.requirements))
        for command in virtualenv.fill(recipe, directory, uv, virtualenv.Sources(), compile_all=False):
            subprocess.run(command.argv, check=True)
        subprocess.run([found.python, "-c", "import mlflow.server, mlflow.cli"], check=True)
        releases.finish(layout, recipe.release, {})
    return found
