"""An MLflow server on this machine, laid out as the role mlflow_server does, for upgrading it for real."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment, releases, virtualenv
from tools import stage

HERE = Path(__file__).parent
PYTHON = sys.executable
FILES = stage.REPOSITORY / "roles/mlflow_server/files"
CACHE = stage.REPOSITORY / ".cache/integration"
OLD = ("2.22.5", "3.1.4")
NEW = "3.17.2"
OPENER = urllib.request.build_opener()
#: Uses the module as Ansible does, but for the kill: see driver.py.
DRIVER = HERE / "driver.py"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def release(version: str, *extra: str) -> str:
    """Build a release from the role's lock and extra packages, once for all runs, and return its name."""
    interpreter = os.path.realpath(PYTHON)
    lock = FILES / f"locks/mlflow-{version}-py{sys.version_info[0]}.{sys.version_info[1]}.txt"
    recipe = virtualenv.Recipe(f"mlflow-{version}", lock.read_text(), extra, interpreter, "uv")
    layout = releases.Layout(str(CACHE))
    if recipe.release not in releases.scan(layout).complete:
        directory = layout.release(recipe.release)
        shutil.rmtree(directory, ignore_errors=True)
        Path(directory).parent.mkdir(parents=True, exist_ok=True)
        uv = str(shutil.which("uv"))
        subprocess.run(virtualenv.create(recipe, directory, uv).argv, check=True)
        Path(directory, "requirements.txt").write_text(recipe.requirements)
        Path(directory, "constraints.txt").write_text(virtualenv.constraints(recipe.requirements))
        for command in virtualenv.fill(recipe, directory, uv, virtualenv.Sources(), compile_all=False):
            subprocess.run(command.argv, check=True)
        subprocess.run([f"{directory}/bin/python", "-c", "import mlflow.server, mlflow.cli"], check=True)
        releases.finish(layout, recipe.release, {})
    return recipe.release


def seed(version: str, uri: str, runs: int, artifacts: Path, *extra: str) -> None:
    """Fill an empty database by a release's own client."""
    python = CACHE / "venvs" / release(version, *extra) / "bin/python"
    given = {
        "PATH": os.environ["PATH"],
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = [str(python), "-I", str(HERE / "seed.py"), str(runs), str(artifacts)]
    ran = subprocess.run(command, env=given, cwd="/", capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr


def seeded(version: str, runs: int) -> Path:
    """Return a SQLite file that an old release has written, made once for all runs of the tests."""
    path = CACHE / f"seed-{version}-{runs}.db"
    if not path.exists():
        # In memory where that can be: every run is committed four times.
        scratch = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else CACHE) / f"seed-{os.getpid()}.db"
        seed(version, f"sqlite:///{scratch}", runs, CACHE / "artifacts")
        shutil.move(scratch, path.with_suffix(".new"))
        path.with_suffix(".new").rename(path)
    return path


@dataclass(frozen=True)
class Site:
    """One server: ``root`` is its install root."""

    root: Path
    uri: str
    port: int
    extra: tuple[str, ...] = ()

    @classmethod
    def make(cls, root: Path, version: str, uri: str, *extra: str) -> Site:
        """Lay out a server of an old release; it is not started."""
        site = cls(root, uri, free_port(), extra)
        for directory in ("venvs", "bin", "libexec"):
            (root / directory).mkdir(parents=True)
        for each in (version, NEW):
            name = release(each, *extra)
            # The releases are built once, and their own paths stand in them.
            (root / "venvs" / name).symlink_to(CACHE / "venvs" / name)
        releases.activate(releases.Layout(str(root)), release(version, *extra))
        shutil.copy(FILES / "mlflow-ready", root / "libexec")
        shutil.copytree(FILES / "mlflow-database", root / "libexec/mlflow-database")
        shim = root / "bin/systemctl"
        shim.write_text(f'#!/bin/sh\nexec {PYTHON} -I {HERE / "systemctl"} {root} "$@"\n')
        shim.chmod(0o755)
        given = {
            "HOME": root,
            "MLFLOW_BACKEND_STORE_URI": uri,
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": site.port,
            "MLFLOW_WORKERS": 1,
            "MLFLOW_SERVE_ARTIFACTS": False,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": root / "artifacts",
            "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": False,
            "MLFLOW_DISABLE_TELEMETRY": True,
        }
        (root / "server.env").write_text(environment.render(given))
        return site

    def add_accounts(self, version: str) -> Path:
        """Give it a database of accounts with one user, made by an old release, and return its file."""
        file, config = self.root / "backend/accounts.db", self.root / "auth.ini"
        config.write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{file}\n"
            "admin_username = admin\nadmin_password = password1234\n"
        )
        with (self.root / "server.env").open("a") as stream:
            stream.write(f'MLFLOW_AUTH_CONFIG_PATH="{config}"\n')
        program = (
            "import sys, sqlalchemy; from mlflow.server.auth.db import utils;"
            "utils.migrate(sqlalchemy.create_engine(sys.argv[1]), 'head')"
        )
        python = self.root / "venvs" / release(version) / "bin/python"
        given = {"PATH": os.environ["PATH"], "MLFLOW_AUTH_CONFIG_PATH": str(config)}
        subprocess.run([python, "-I", "-c", program, f"sqlite:///{file}"], env=given, check=True, timeout=120)
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("INSERT INTO users (username, password_hash, is_admin) VALUES ('alice', 'x', 1)")
            connection.commit()
        return file

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def current(self) -> str:
        """The release in use."""
        return (self.root / "current").readlink().name

    @property
    def held(self) -> bool:
        return (self.root / "upgrade.hold").exists()

    def journal(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "upgrade.json").read_text())
        return found

    @property
    def variables(self) -> dict[str, str]:
        """The environment of the module, in which systemctl is the site's."""
        return {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}", "PYTHONPATH": str(stage.LINKED)}

    def systemctl(self, *arguments: str) -> int:
        return subprocess.run([self.root / "bin/systemctl", *arguments], check=False, timeout=120).returncode

    def arguments(self, version: str, **more: object) -> dict[str, Any]:
        """What the role gives the module."""
        given = {
            "root": str(self.root),
            "release": release(version, *self.extra),
            "environment_file": str(self.root / "server.env"),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "backups": str(self.backups),
            "start_timeout": 60,
            "migration_timeout": 300,
        }
        return {**given, **more}

    def upgrade(self, version: str = NEW, kill_at: str = "", **more: object) -> dict[str, Any]:
        """Run the module in a process of its own and return what it said; {} when it was killed at ``kill_at``."""
        command = [PYTHON, str(DRIVER), kill_at]
        given = json.dumps(self.arguments(version, **more))
        ran = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            cwd=stage.REPOSITORY,
            env=self.variables,
        )
        if kill_at:
            assert ran.returncode == -signal.SIGKILL, ran.stdout + ran.stderr
            return {}
        assert ran.stdout.strip().startswith("{"), ran.stdout + ran.stderr
        said: dict[str, Any] = json.loads(ran.stdout)
        return said

    @contextlib.contextmanager
    def begun(self, version: str = NEW) -> Iterator[subprocess.Popen[str]]:
        """Have the module at work."""
        command = [PYTHON, str(DRIVER), ""]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, env=self.variables, cwd=HERE) as process:
            assert process.stdin
            process.stdin.write(json.dumps(self.arguments(version)))
            process.stdin.close()
            yield process

    def wait_for(self, step: str) -> None:
        """Wait until a step stands in the journal."""
        end = time.monotonic() + 60
        while not (self.root / "upgrade.json").exists() or self.journal()["step"] != step:
            assert time.monotonic() < end, step
            time.sleep(0.02)

    def on_stop(self, command: str) -> None:
        """Have something else happen when the server is stopped for the first time, and only then."""
        shim, armed = self.root / "bin/systemctl", self.root / "armed"
        armed.touch()
        once = f'[ "$1" = stop ] && rm {armed} 2>/dev/null && {command}\n'
        shim.write_text(shim.read_text().replace("exec ", f"{once}exec ", 1))

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call the server's API as a client does."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Host": "localhost"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", data, headers)
        with OPENER.open(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def version(self) -> str:
        """What release answers."""
        with OPENER.open(f"http://127.0.0.1:{self.port}/version", timeout=30) as answer:
            return str(answer.read().decode())

    def counts(self) -> dict[str, int]:
        """What a client finds by the API."""
        body: dict[str, Any] = {"max_results": 1000, "view_type": "ALL"}
        experiments = self.ask("api/2.0/mlflow/experiments/search", body)["experiments"]
        ids = [experiment["experiment_id"] for experiment in experiments]
        found = self.ask("api/2.0/mlflow/runs/search", {"experiment_ids": ids, "max_results": 5000})
        models = self.ask("api/2.0/mlflow/registered-models/search?max_results=100")["registered_models"]
        metrics = sum(len(run["data"]["metrics"]) for run in found["runs"])
        return {"experiments": len(ids), "runs": len(found["runs"]), "metrics": metrics, "models": len(models)}
