"""Databases of all kinds for tests; what real releases write to them, seeds.py says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import make_url

from lab.databases import ODD, Certificates, Server

ENGINES = ("sqlite", "postgresql", "mysql")
#: The same as parameters, MariaDB where there is time.
QUICK_ENGINES = ["sqlite", "postgresql", pytest.param("mysql", marks=pytest.mark.long)]


@dataclass(frozen=True)
class Database:
    """A database, by the address with the newest release's driver; ``server`` is None for a file of SQLite."""

    uri: str
    server: Server | None = None

    @property
    def engine(self) -> str:
        """The kind of database."""
        return str(make_url(self.uri).get_backend_name())

    @property
    def name(self) -> str:
        """Its name on its server; the file of SQLite."""
        return str(make_url(self.uri).database)

    def query(self, statement: str) -> str:
        """Run SQL in it as its server's administrator."""
        assert self.server is not None
        return self.server.execute(statement, self.name)

    def copied(self, name: str) -> Database:
        """Make a copy on the same server, for the same account."""
        assert self.server is not None
        account = make_url(self.uri).username
        if self.engine == "postgresql":
            self.server.execute(f"CREATE DATABASE {name} TEMPLATE {self.name} OWNER {account};", "postgres")
        else:
            dump = ["mariadb-dump", "--no-defaults", f"--socket={self.server.socket}", "--hex-blob", self.name]
            script = subprocess.run(dump, check=True, capture_output=True, text=True, timeout=60).stdout
            self.server.execute(_for_mariadb(name, str(account)), "mysql")
            self.server.execute(script, name)
        return replace(self, uri=make_url(self.uri).set(database=name).render_as_string(hide_password=False))


def _for_mariadb(name: str, account: str) -> str:
    return (
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4; GRANT ALL ON {name}.* TO {account}@'%';"
        f"GRANT ALL ON {name}_verify_scratch.* TO {account}@'%';"
    )


def create(server: Server, name: str, certificates: Certificates) -> Database:
    """Make an empty database and the account that owns it, which has an odd password and is let in by TLS only."""
    password, authority = quote(ODD, safe=""), quote(str(certificates.authority))
    if server.engine == "postgresql":
        literal = "'" + ODD.replace("'", "''") + "'"
        server.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD {literal};", "postgres")
        server.execute(f"CREATE DATABASE {name} OWNER {name};", "postgres")
        end = f"localhost:{server.port}/{name}?sslmode=verify-full&sslrootcert={authority}"
        return Database(f"postgresql+psycopg://{name}:{password}@{end}", server)
    literal = "'" + ODD.replace("\\", "\\\\").replace("'", "\\'") + "'"
    account = f"CREATE USER {name}@'%' IDENTIFIED BY {literal} REQUIRE SSL;"
    server.execute(account + _for_mariadb(name, name), "mysql")
    return Database(f"mysql+pymysql://{name}:{password}@localhost:{server.port}/{name}?ssl_ca={authority}", server)


@contextmanager
def log_writer(file: str | Path, statement: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a process that has changed a database in WAL mode and has it open: the change is in the log only."""
    script = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('PRAGMA journal_mode = WAL'); db.execute('PRAGMA wal_autocheckpoint = 0');"
        "db.execute(sys.argv[2]); print('written', flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(file), statement]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"written\n"
            yield process
        finally:
            process.kill()
