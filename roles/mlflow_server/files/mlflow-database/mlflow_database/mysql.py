# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB and MySQL: dumped by mariadb-dump in one transaction, whose rows are counted as they pass.

What such a server does with tables can't be taken back: a restore that is interrupted leaves a part, and the next one
starts from the beginning.

Source: MariaDB's documentation, "mariadb-dump" and "Configuring MariaDB with Option Files".
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.exc import DBAPIError

from mlflow_database.database import CONNECT_TIMEOUT, VERSION_TABLES, RefusalError, State
from mlflow_database.server import Server, installed, reader, writer

_PACKAGE = "mariadb-client"
_DUMP = ("mariadb-dump", "mysqldump")
_CLIENT = ("mariadb", "mysql")
#: Access denied to a database, and a right that is lacking.
_DENIED = (1044, 1227)
#: PyMySQL's arguments and the same in an option file.
_OPTIONS = {"host": "host", "port": "port", "user": "user", "password": "password", "unix_socket": "socket"}
_SSL_OPTIONS = {"ca": "ssl-ca", "capath": "ssl-capath", "cert": "ssl-cert", "key": "ssl-key", "cipher": "ssl-cipher"}
_INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)+)` [^']*?VALUES\s*")
_STRING = re.compile(rb"'(?:[^'\\]|\\.)*'")
#: Whose trigger it is: only a superuser may name somebody else.
_DEFINER = re.compile(rb"^(/\*!50003 CREATE\*/ )/\*!50017 DEFINER=\S+\*/ ")
_LEVEL = 1

_SIZE = (
    "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables WHERE table_schema = database()"
)
_SESSIONS = """
SELECT concat('connection ', id, ' from ', host) FROM information_schema.processlist
WHERE db = database() AND user = substring_index(user(), '@', 1) AND id <> connection_id()
"""


class Rows:
    """Counts the rows of a dump as its lines pass: each begins with a parenthesis that no string holds."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.versions: dict[str, str] = {}
        self._table = ""

    def see(self, line: bytes) -> None:
        """Take notice of a line."""
        if line.startswith(b"CREATE TABLE `"):
            self.counts.setdefault(line[14:].partition(b"`")[0].decode(), 0)
            return
        match = _INSERT.match(line)
        if match:
            self._table, line = match[1].decode(), line[match.end() :]
        if self._table:
            self.counts[self._table] += _STRING.sub(b"", line).count(b"(")
            version = _STRING.search(line)
            if self._table in VERSION_TABLES and version:
                self.versions[self._table] = version[0].strip(b"'").decode()
            if line.endswith(b";\n"):
                self._table = ""


def _option(name: str, value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'{name} = "{escaped}"\n'


class Mysql(Server):
    """A database of MariaDB or MySQL."""

    engine = "mysql"
    suffix = ".sql.gz"

    @property
    def connect_arguments(self) -> Mapping[str, Any]:
        return {} if "connect_timeout" in self.url.query else {"connect_timeout": CONNECT_TIMEOUT}

    def is_denied(self, error: DBAPIError) -> bool:
        return bool(error.orig and error.orig.args and error.orig.args[0] in _DENIED)

    def create_scratch(self, name: str) -> str:
        return f"CREATE DATABASE {name} CHARACTER SET utf8mb4"

    def size(self, connection: sqlalchemy.Connection) -> int:
        return int(connection.exec_driver_sql(_SIZE).scalar_one())

    def sessions(self, connection: sqlalchemy.Connection) -> list[str]:
        return [str(row[0]) for row in connection.exec_driver_sql(_SESSIONS)]

    @contextlib.contextmanager
    def _options(self) -> Iterator[int]:
        """Have the address in a file without a name, as which no password is left behind."""
        arguments = self.url.get_dialect()().create_connect_args(self.url)[1]
        ssl = arguments.get("ssl") or {}
        text = "[client]\n" + "".join(
            _option(_OPTIONS[name], arguments[name]) for name in _OPTIONS if name in arguments
        )
        # The programs take localhost for the socket, unlike the server's driver.
        text += "" if "unix_socket" in arguments else "protocol = tcp\n"
        text += "".join(_option(_SSL_OPTIONS[name], ssl[name]) for name in _SSL_OPTIONS if name in ssl)
        if "ca" in ssl and ssl.get("check_hostname", True):
            text += "ssl-verify-server-cert\n"
        descriptor = os.memfd_create("options")
        try:
            # The programs pass over a file that anybody could have written.
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, text.encode())
            yield descriptor
        finally:
            os.close(descriptor)

    def require_programs(self) -> None:
        for names in (_DUMP, _CLIENT):
            installed(names, _PACKAGE)

    def _command(self, names: Sequence[str], file: int, *options: str) -> list[str]:
        argv = [installed(names, _PACKAGE), f"--defaults-file=/dev/fd/{file}", "--default-character-set=utf8mb4"]
        return [*argv, *options, str(self.url.database)]

    def dump(self, path: Path) -> State:
        # Refuses with a plain word where the program would not: it may not see a table.
        before = self.state()
        rows = Rows()
        options = [
            "--single-transaction",
            "--skip-lock-tables",
            "--quick",
            "--hex-blob",
            "--no-tablespaces",
            "--triggers",
        ]
        with (
            self._options() as file,
            gzip.open(path, "wb", compresslevel=_LEVEL) as packed,
            reader(self._command(_DUMP, file, *options), os.environ, [file]) as script,
        ):
            for line in script:
                rows.see(line)
                packed.write(line)
        absent = sorted(before.counts.keys() - rows.counts.keys())
        if absent:
            raise RefusalError(
                f"mariadb-dump has left out the tables {', '.join(absent)} of the {self.name}",
                "the dump would not be whole",
                "see that nobody changes the schema meanwhile, and run this again",
            )
        return State(self.engine, self.revision_of(rows.versions), path.stat().st_size, rows.counts)

    def load(self, path: Path) -> None:
        with self.connection() as connection:
            quote = connection.dialect.identifier_preparer.quote
            old = [quote(name) for name in sqlalchemy.inspect(connection).get_table_names()]
        head = "SET FOREIGN_KEY_CHECKS = 0;\n" + (f"DROP TABLE {', '.join(old)};\n" if old else "")
        with (
            self._options() as file,
            gzip.open(path, "rb") as script,
            writer(self._command(_CLIENT, file, "--batch"), os.environ, [file]) as loader,
        ):
            loader.write(head.encode())
            loader.writelines(_DEFINER.sub(rb"\1", line) for line in script)

    def read_dump(self, path: Path) -> tuple[dict[str, int], dict[str, str]]:
        rows = Rows()
        with gzip.open(path, "rb") as script:
            for line in script:
                rows.see(line)
        return rows.counts, rows.versions
