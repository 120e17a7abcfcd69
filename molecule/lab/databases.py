# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL and MariaDB as Debian packages them, in clusters that last as long as they are tested or measured."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.base import LabError

SECONDS = 60
#: Characters that every layer has its own way to get wrong.
ODD = "p%40s@/:?#&+ \\\"'$"


@dataclass(frozen=True)
class Server:
    """A running database server of our own."""

    engine: str
    port: int
    socket: str
    administrator: tuple[str, ...]

    def execute(self, statements: str, database: str) -> str:
        """Run SQL as the administrator, and return what it prints."""
        ran = subprocess.run(
            [*self.administrator, database],
            input=statements,
            text=True,
            capture_output=True,
            check=False,
            timeout=SECONDS,
        )
        if ran.returncode or "ERROR" in ran.stderr:
            raise RuntimeError(ran.stderr)
        return ran.stdout


@dataclass(frozen=True)
class Certificates:
    """An authority, what it signed for the name localhost, and an authority that has signed nothing."""

    authority: Path
    certificate: Path
    key: Path
    stranger: Path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_certificates(directory: Path) -> Certificates:
    """Make them with OpenSSL."""

    def openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=directory)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    extensions = ["-addext", "basicConstraints=critical,CA:TRUE"]
    for name in ("ca", "stranger"):
        openssl(
            "req", "-x509", *key, *extensions, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}"
        )
    openssl("req", *key[:-2], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return Certificates(*(directory / name for name in ("ca.pem", "server.pem", "server.key", "stranger.pem")))


def demand_root() -> None:
    """Say so where servers can't be run as their own accounts.

    :raises LabError: this is not root.
    """
    if os.geteuid() != 0:
        raise LabError("only root can run database servers as their own accounts")


def subdirectory(parent: Path, name: str) -> Path:
    """Make a directory that everybody may enter."""
    made = parent / name
    made.mkdir()
    made.chmod(0o711)
    return made


def _program(name: str, pattern: str = "") -> str:
    """Return a program's path, on PATH or the last one by a pattern below /."""
    found = sorted(map(str, Path("/").glob(pattern))) if pattern else [shutil.which(name) or ""]
    if not found or not found[-1]:
        raise FileNotFoundError(f"{name} is not installed")
    return found[-1]


def _own(user: str, *secret: Path) -> None:
    for path in secret:
        shutil.chown(path, user)
        path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def _running(command: Sequence[str], user: str, log: Path, ready: Sequence[str]) -> Iterator[None]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, user=user, group=user, extra_groups=[], cwd="/"
        )
    try:
        deadline = time.monotonic() + SECONDS
        while subprocess.run(ready, capture_output=True, check=False, input="SELECT 1;", text=True).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)


@contextmanager
def postgresql(directory: Path, certificates: Certificates, settings: Mapping[str, str]) -> Iterator[Server]:
    """Run a PostgreSQL that lets in the user mlflow by password and TLS, and plain for its database `plain`."""
    data, port = directory / "data", free_port()
    initdb = _program("initdb", "usr/lib/postgresql/*/bin/initdb")
    data.mkdir()
    key = Path(shutil.copy(certificates.key, directory / "server.key"))
    _own("postgres", directory, data, key)
    directory.chmod(0o711)
    made = [initdb, "--pgdata", str(data), "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(made, user="postgres", group="postgres", extra_groups=[], check=True, capture_output=True, cwd="/")
    (data / "pg_hba.conf").write_text(
        "local all postgres trust\nlocal all all peer\n"
        "host plain mlflow 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    )
    given = {
        "port": str(port),
        "unix_socket_directories": str(directory),
        "listen_addresses": "127.0.0.1",
        "ssl": "on",
        "ssl_cert_file": str(certificates.certificate),
        "ssl_key_file": str(key),
        "fsync": "off",
        **settings,
    }
    options = [word for name, value in given.items() for word in ("-c", f"{name}={value}")]
    administrator = (
        *(_program("psql", "usr/lib/postgresql/*/bin/psql"), "-XAtq", "-v", "ON_ERROR_STOP=1"),
        *("-h", str(directory), "-p", str(port), "-U", "postgres"),
    )
    command = [str(Path(initdb).with_name("postgres")), "-D", str(data), *options]
    with _running(command, "postgres", directory / "log", [*administrator, "postgres"]):
        yield Server("postgresql", port, str(directory), administrator)


@contextmanager
def mariadb(directory: Path, certificates: Certificates, settings: Mapping[str, str]) -> Iterator[Server]:
    """Run a MariaDB, as root's own by its socket."""
    data, port, path = directory / "data", free_port(), directory / "my.sock"
    install, program = _program("mariadb-install-db"), _program("mariadbd", "usr/sbin/mariadbd")
    data.mkdir()
    key = Path(shutil.copy(certificates.key, directory / "server.key"))
    _own("mysql", directory, data, key)
    directory.chmod(0o711)
    made = [install, "--no-defaults", f"--datadir={data}", "--user=mysql", "--auth-root-authentication-method=socket"]
    subprocess.run([*made, "--skip-test-db"], check=True, capture_output=True)
    given = {
        "datadir": str(data),
        "socket": str(path),
        "port": str(port),
        "bind-address": "127.0.0.1",
        "ssl-cert": str(certificates.certificate),
        "ssl-key": str(key),
        "pid-file": str(directory / "pid"),
        **settings,
    }
    options = [f"--{name}={value}" for name, value in given.items()]
    administrator = (_program("mariadb"), "--no-defaults", "--default-character-set=utf8mb4", "-N", f"--socket={path}")
    with _running([program, "--no-defaults", *options], "mysql", directory / "log", [*administrator, "mysql"]):
        yield Server("mysql", port, str(path), administrator)
