"""Databases that real releases have written."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.integration.databases import Database
from tests.integration.releases import CACHE, NEWEST, release

_SEED = Path(__file__).with_name("seed.py")
_SECONDS = 300


def address(database: Database, version: str) -> str:
    """Return a database's address with a driver that a release can use."""
    return database.uri if version == NEWEST else database.uri.replace("+psycopg:", "+psycopg2:")


def seed(database: Database, version: str, do: str, *arguments: str | Path) -> dict[str, Any]:
    """Have a release's own client write to a database, or tell what it reads there: see seed.py."""
    given = {
        "PATH": os.environ["PATH"],
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [str(release(version).python), "-I", str(_SEED), do, address(database, version), *map(str, arguments)]
    ran = subprocess.run(command, env=given, cwd="/", capture_output=True, text=True, check=False, timeout=_SECONDS)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def seeded_file(version: str, runs: int) -> Path:
    """Return a file of SQLite that a release has written, made once for all runs of the tests."""
    path = CACHE / f"seed-{version}-{runs}-{hashlib.sha256(_SEED.read_bytes()).hexdigest()[:12]}.db"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # In memory where that can be: every run is committed four times.
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
            scratch = Path(name, "mlflow.db")
            seed(Database(f"sqlite:///{scratch}"), version, "write", str(runs), CACHE / "artifacts")
            shutil.move(scratch, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)
    return path
