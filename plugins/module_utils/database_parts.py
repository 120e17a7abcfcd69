# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database by its parts, and the address that SQLAlchemy wants of them.

Source: SQLAlchemy's "Database URLs" (what is escaped, and which part is not unescaped); PostgreSQL's "SSL Support"
(the modes' names); PyMySQL's Connection (``ssl`` and its meaning without authorities).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote, urlencode

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: The driver in the role's locks for each engine; MariaDB is a MySQL to it.
DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}
#: Where Debian's and Red Hat's servers have their sockets: a directory for PostgreSQL, a file for MariaDB.
SOCKETS = {"postgresql": "/run/postgresql", "mysql": "/run/mysqld/mysqld.sock"}
PORTS = {"postgresql": 5432, "mysql": 3306}
#: How much is asked of TLS, by PostgreSQL's names.
DISABLE, REQUIRE, VERIFY_CA, VERIFY_FULL = "disable", "require", "verify-ca", "verify-full"
TLS_MODES = (DISABLE, REQUIRE, VERIFY_CA, VERIFY_FULL)

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
#: SQLAlchemy takes a database's name as it stands, so that nothing in it may need an escape.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_PATH = re.compile(r"(/[A-Za-z0-9._+@=:,-]+)+")
_LAST_PORT = 65535
#: All database servers end names at this or a larger number of bytes.
_LONGEST_USER = 63


@dataclass(frozen=True)
class Parts:
    """Where a database is and who asks for it; '' and 0 stand for the engine's own default.

    Without ``host`` it is the one on this host, by its ``socket``.
    """

    engine: str = "postgresql"
    host: str = ""
    port: int = 0
    name: str = "mlflow"
    user: str = "mlflow"
    password: str = ""
    socket: str = ""
    tls: str = ""
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    @property
    def tls_mode(self) -> str:
        """What is asked of TLS; with an authority to prove the server by, and nothing said, everything."""
        return self.tls or (VERIFY_FULL if self.tls_ca else "")


_TYPES = {field.name: int if field.name == "port" else str for field in fields(Parts)}


def parse(given: Mapping[str, Any]) -> Parts:
    """Return the parts in a dictionary of a user's.

    Raises ValueError for a part of a wrong name or type; the message never has the password.
    """
    unknown = sorted(str(name) for name in set(given) - set(_TYPES))
    if unknown:
        raise ValueError(f"it has {', '.join(unknown)}, which is no part of an address")
    for name, value in given.items():
        # True is an int to Python, and a password without quotes may be one to YAML.
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            wanted = "a number" if _TYPES[name] is int else "a text in quotes"
            raise ValueError(f"its {name} is not {wanted}")
    texts = {name: str(value) for name, value in given.items() if _TYPES[name] is str}
    return Parts(port=int(given.get("port", 0)), **texts)


def _query(parts: Parts) -> dict[str, str]:
    query = {}
    if not parts.host:
        socket = parts.socket or SOCKETS[parts.engine]
        query["host" if parts.engine == "postgresql" else "unix_socket"] = socket
        if parts.port and parts.engine == "postgresql":
            query["port"] = str(parts.port)
    mode = parts.tls_mode
    if parts.engine == "postgresql":
        files = {"sslrootcert": parts.tls_ca, "sslcert": parts.tls_certificate, "sslkey": parts.tls_key}
        return {**query, **({"sslmode": mode} if mode else {}), **{name: path for name, path in files.items() if path}}
    if mode == DISABLE:
        return {**query, "ssl_disabled": "true"}
    files = {"ssl_ca": parts.tls_ca, "ssl_cert": parts.tls_certificate, "ssl_key": parts.tls_key}
    # Any word about TLS makes PyMySQL insist on it; who the server is, it asks when there is an authority.
    check = {"ssl_check_hostname": "true" if mode == VERIFY_FULL else "false"} if mode else {}
    return {**query, **{name: path for name, path in files.items() if path}, **check}


def uri(parts: Parts) -> str:
    """Return the address in SQLAlchemy's notation, its driver written out.

    Raises ValueError for an engine without a driver.
    """
    if parts.engine not in DRIVERS:
        raise ValueError(f"there is no driver for {parts.engine!r}")
    password = ":" + quote(parts.password, safe="") if parts.password else ""
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    port = f":{parts.port}" if parts.host and parts.port else ""
    query = urlencode(_query(parts), quote_via=quote, safe="/")
    return (
        f"{parts.engine}+{DRIVERS[parts.engine]}://{quote(parts.user, safe='')}{password}@{host}{port}/{parts.name}"
        + (f"?{query}" if query else "")
    )


def is_local(host: str) -> bool:
    """Whether what is said to a host never leaves this one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


def _tls(found: str, parts: Parts) -> Iterator[Problem]:
    mode = parts.tls_mode
    if parts.tls and parts.tls not in TLS_MODES:
        yield Problem(f"{found}.tls is {parts.tls!r}", "there is no such mode", f"write {', '.join(TLS_MODES)}")
    elif not parts.host and (parts.tls not in ("", DISABLE) or parts.tls_ca or parts.tls_certificate):
        yield Problem(
            f"{found} has TLS and no host",
            "a socket of this host is no network, and has no TLS",
            f"name the host, or leave {found}.tls, tls_ca, tls_certificate and tls_key out",
        )
    elif not mode and not is_local(parts.host):
        yield Problem(
            f"{found}.host is {parts.host}, and nothing is said of TLS",
            "what is logged, and with MySQL the way to the password, would cross the network readable",
            f"write {found}.tls_ca, the file of the authority that signed the server's certificate; or tls: require "
            "(encrypted, but to whoever answers), or tls: disable on a network that nobody else is on",
        )
    elif mode in (VERIFY_CA, VERIFY_FULL) and not parts.tls_ca:
        yield Problem(
            f"{found}.tls is {mode}, without tls_ca",
            "the server's certificate can't be verified without the authority that signed it",
            f"write {found}.tls_ca, on Debian /etc/ssl/certs/ca-certificates.crt for the public ones",
        )
    elif mode == DISABLE and (parts.tls_ca or parts.tls_certificate):
        yield Problem(
            f"{found}.tls is disable, with tls_ca or tls_certificate",
            "they would not be used",
            "leave either out",
        )
    if bool(parts.tls_certificate) != bool(parts.tls_key):
        yield Problem(
            f"{found} has one of tls_certificate and tls_key",
            "a client is proved by both",
            "write both, or none",
        )


def problems(found: str, parts: Parts) -> Iterator[Problem]:
    """Yield what is wrong with the parts of the input ``found``, whose password may be left out."""
    if parts.engine not in DRIVERS:
        yield Problem(
            f"{found}.engine is {parts.engine!r}",
            "no driver for it is among the locked packages",
            "write postgresql, or mysql (for MariaDB too); any other database by its address in "
            "mlflow_server_backend_store_uri, with its driver in mlflow_server_extra_packages",
        )
        return
    host = parts.host if not parts.host or ":" not in parts.host else _ipv6(parts.host)
    if parts.host and (not host or (":" not in host and not _HOST.fullmatch(host))):
        yield Problem(
            f"{found}.host is {parts.host!r}",
            "it is neither a name nor an address",
            "write it without scheme, port, brackets or path, such as db.example.org",
        )
    if parts.host and parts.socket:
        yield Problem(f"{found} has host and socket", "there is one way to a database", "write one of them")
    for name in ("socket", "tls_ca", "tls_certificate", "tls_key"):
        path = getattr(parts, name)
        if path and not _PATH.fullmatch(path):
            yield Problem(f"{found}.{name} is {path!r}", "it must be an absolute path", "write it from the root on")
    if not 0 <= parts.port <= _LAST_PORT:
        yield Problem(
            f"{found}.port is {parts.port}", "65535 is the last", f"write {PORTS[parts.engine]} or leave it out"
        )
    if not _NAME.fullmatch(parts.name):
        yield Problem(
            f"{found}.name is {parts.name!r}",
            "the name of a database stands in its address as it is",
            "use letters, digits, - and _, at most 63 of them",
        )
    if not parts.user or len(parts.user.encode()) > _LONGEST_USER or "\0" in parts.user:
        yield Problem(f"{found}.user is {parts.user!r}", "no database server has such a user", "write its name")
    yield from _tls(found, parts)


def _ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        return ""
