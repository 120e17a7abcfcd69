"""An MLflow server on this machine, laid out as the role mlflow_server does, for upgrading it for real."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment, releases
from lab.databases import free_port
from tests.integration.databases import Database
from tests.integration.releases import FILES, NEWEST, release
from tests.integration.seeds import address
from tools import stage

HERE = Path(__file__).parent
PYTHON = sys.executable
OPENER = urllib.request.build_opener()
#: Uses the module as Ansible does, but for the kill: see driver.py.
DRIVER = HERE / "driver.py"


@dataclass(frozen=True)
class Site:
    """One server: ``root`` is its install root."""

    root: Path
    database: Database
    port: int

    @classmethod
    def make(cls, root: Path, version: str, database: Database) -> Site:
        """Lay out a server of an old release; it is not started."""
        site = cls(root, database, free_port())
        for directory in ("venvs", "bin", "libexec"):
            (root / directory).mkdir(parents=True)
        for each in (version, NEWEST):
            # The releases are built once, and their own paths stand in them.
            (root / "venvs" / release(each).name).symlink_to(release(each).directory)
        releases.activate(releases.Layout(str(root)), release(version).name)
        shutil.copy(FILES / "mlflow-ready", root / "libexec")
        shutil.copytree(FILES / "mlflow-database", root / "libexec/mlflow-database")
        shim = root / "bin/systemctl"
        shim.write_text(f'#!/bin/sh\nexec {PYTHON} -I {HERE / "systemctl"} {root} "$@"\n')
        shim.chmod(0o755)
        given = {
            "HOME": root,
            "MLFLOW_BACKEND_STORE_URI": address(database, version),
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

    def add_accounts(self, version: str, database: Database) -> None:
        """Give it a database of accounts with one user, made by an old release."""
        config, uri = self.root / "auth.ini", address(database, version)
        config.write_text(
            "[mlflow]\ndefault_permission = READ\nadmin_username = admin\nadmin_password = password1234\n"
            f"database_uri = {uri.replace('%', '%%')}\n"
        )
        with (self.root / "server.env").open("a") as stream:
            stream.write(f'MLFLOW_AUTH_CONFIG_PATH="{config}"\n')
        self.users(version, database, "alice")

    def users(self, version: str, database: Database, new: str = "") -> list[str]:
        """Return the names of the accounts that a release finds, after making one."""
        program = (
            "import sys; from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore; store = SqlAlchemyStore();"
            "store.init_db(sys.argv[1]); store.create_user(sys.argv[2], 'a long password') if sys.argv[2] else None;"
            "print(*(user.username for user in store.list_users()))"
        )
        given = {"PATH": os.environ["PATH"], "MLFLOW_AUTH_CONFIG_PATH": str(self.root / "auth.ini")}
        command = [str(release(version).python), "-I", "-c", program, address(database, version), new]
        return subprocess.run(
            command, env=given, check=True, capture_output=True, text=True, timeout=120
        ).stdout.split()

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

    def start(self) -> None:
        """Have the server answer."""
        assert self.systemctl("start", "mlflow.service") == 0, (self.root / "server.log").read_text()

    def kill(self) -> None:
        """End the server as a power cut does."""
        with contextlib.suppress(OSError, ValueError):
            number = int((self.root / "server.pid").read_text())
            os.killpg(number, signal.SIGKILL)
            for _each in range(200):
                # Until the last of its processes is gone, and a zombie's files are closed.
                os.killpg(number, 0)
                time.sleep(0.05)

    def arguments(self, version: str, **more: object) -> dict[str, Any]:
        """What the role gives the module."""
        given = {
            "root": str(self.root),
            "release": release(version).name,
            "environment_file": str(self.root / "server.env"),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "backups": str(self.backups),
            "start_timeout": 60,
            "migration_timeout": 300,
        }
        return {**given, **more}

    def upgrade(self, version: str = NEWEST, kill_at: str = "", **more: object) -> dict[str, Any]:
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
    def begun(self, version: str = NEWEST) -> Iterator[subprocess.Popen[str]]:
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
