"""Real releases of MLflow and real databases, on this machine and without any host.

The releases are installed from the role's locks into .cache/releases, once.  PostgreSQL's and MariaDB's servers are
those of the system's packages (postgresql, mariadb-server); where they are not installed, their tests are skipped.
"""

from __future__ import annotations

import contextlib
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools import stage

HERE = Path(__file__).parent
RELEASES = ("2.22.5", "3.1.4", "3.17.2")
_START_SECONDS = 120


def run(*argv: str | Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program and return what it printed; what it complained of stands in the failure."""
    done = subprocess.run([*map(str, argv)], check=False, text=True, capture_output=True, timeout=300, env=env, cwd=cwd)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def get(url: str, path: str, timeout: float = 60) -> bytes:
    """Return what a server of this machine answers.  Raises OSError."""
    address = urllib.parse.urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=timeout)) as asked:
        asked.request("GET", path)
        with asked.getresponse() as answer:
            content = answer.read()
            assert answer.status == 200, content
            return content


@dataclass(frozen=True)
class Release:
    """An installed release: ``python`` is that of its virtual environment."""

    version: str
    python: Path

    @contextmanager
    def serving(self, scratch: Path, environment: dict[str, str]) -> Iterator[str]:
        """Run the server with the variables of an environment file, and yield its address."""
        port = free_port()
        work = scratch / "work"
        work.mkdir(exist_ok=True)
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
            **environment,
            "HOME": str(work),
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(port),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "DO_NOT_TRACK": "1",
        }
        log = scratch / "server.log"
        with log.open("ab") as stream:
            # A session of its own, so that its workers end with it.
            server = subprocess.Popen(
                [self.python.parent / "mlflow", "server"],
                cwd=work,
                env=variables,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            try:
                self._wait(server, f"http://127.0.0.1:{port}", log)
                yield f"http://127.0.0.1:{port}"
            finally:
                # Older releases leave their gunicorn behind.
                for number in (signal.SIGTERM, signal.SIGKILL):
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(server.pid, number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        server.wait(20)

    @staticmethod
    def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert server.poll() is None, log.read_text(errors="replace")
            try:
                get(url, "/health", timeout=5)
            except OSError:
                time.sleep(0.3)
            else:
                return
        pytest.fail(f"no answer from {url}:\n{log.read_text(errors='replace')}")

    def log_everything(self, url: str, scratch: Path) -> dict[str, Any]:
        """Log one of everything and return what was logged."""
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
            "MLFLOW_TRACKING_URI": url,
            "HOME": str(scratch),
            "GIT_PYTHON_REFRESH": "quiet",
            "DO_NOT_TRACK": "1",
        }
        printed = run(self.python, HERE / "log_everything.py", env=variables, cwd=scratch)
        logged: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return logged


def installed(version: str) -> Release:
    """Return a release, installed from its lock when it isn't yet."""
    directory = stage.REPOSITORY / ".cache" / "releases" / version
    number = f"{sys.version_info.major}.{sys.version_info.minor}"
    lock = stage.REPOSITORY / f"roles/mlflow_server/files/locks/mlflow-{version}-py{number}.txt"
    if not (directory / "complete").is_file():
        uv = Path(sys.executable).parent / "uv"
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, directory)
        run(uv, "pip", "install", "--quiet", "--python", directory / "bin/python", "--requirements", lock)
        (directory / "complete").touch()
    return Release(version, directory / "bin/python")


@pytest.fixture(scope="session", params=RELEASES)
def release(request: pytest.FixtureRequest) -> Release:
    """Each release for which the server's role has a lock."""
    return installed(request.param)


@pytest.fixture(scope="session")
def newest() -> Release:
    return installed(RELEASES[-1])


def as_account(name: str, *argv: str | Path) -> list[str]:
    """Return a command that runs as another account, for servers that refuse root."""
    return ["runuser", "-u", name, "--", *map(str, argv)] if os.geteuid() == 0 else [*map(str, argv)]


def known(account: str) -> bool:
    return any(entry.pw_name == account for entry in pwd.getpwall())


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throwaway PostgreSQL; the address of its empty database."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not programs or not known("postgres"):
        pytest.skip("no PostgreSQL server is installed")
    bin_directory = Path(programs[-1])
    home = Path(run("mktemp", "--directory", "/var/tmp/postgresql-XXXXXX").strip())
    try:
        if os.geteuid() == 0:
            shutil.chown(home, "postgres")
        data, port = home / "data", free_port()
        run(
            *as_account(
                "postgres", bin_directory / "initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "-D", data
            )
        )
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = as_account("postgres", bin_directory / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", options)
        run(*control, "start")
        try:
            run(*as_account("postgres", bin_directory / "createdb", "-h", home, "-p", str(port), "mlflow"))
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/mlflow"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """A throwaway MariaDB; the address of its empty database."""
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or not Path("/usr/bin/mariadb-install-db").exists():
        pytest.skip("no MariaDB server is installed")
    home = Path(run("mktemp", "--directory", "/var/tmp/mariadb-XXXXXX").strip())
    account = "mysql" if known("mysql") else "nobody"
    try:
        if os.geteuid() == 0:
            shutil.chown(home, account)
        data, port, link = home / "data", free_port(), home / "s"
        run(
            *as_account(
                account,
                "mariadb-install-db",
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--datadir={data}",
            )
        )
        argv = as_account(
            account,
            server,
            "--no-defaults",
            f"--datadir={data}",
            f"--port={port}",
            f"--socket={link}",
            "--bind-address=127.0.0.1",
            "--character-set-server=utf8mb4",
        )
        with (home / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                deadline = time.monotonic() + 60
                while not link.exists() and time.monotonic() < deadline:
                    time.sleep(0.2)
                run(
                    "mariadb",
                    "--no-defaults",
                    f"--socket={link}",
                    "--user=root",
                    "--execute",
                    "create database mlflow; create user mlflow@'127.0.0.1' identified by 'p@ss:%/'; "
                    "grant all on mlflow.* to mlflow@'127.0.0.1'; flush privileges",
                )
                yield f"mysql+pymysql://mlflow:p%40ss%3A%25%2F@127.0.0.1:{port}/mlflow?charset=utf8mb4"
            finally:
                process.terminate()
                process.wait(60)
    finally:
        shutil.rmtree(home)
