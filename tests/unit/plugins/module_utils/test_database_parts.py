"""A database's address is made so that SQLAlchemy reads the very same parts out of it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import make_url

from ansible_collections.selfhosted.mlflow.plugins.filter.database_uri import database_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_parts import Parts, parse, problems, uri

PASSWORDS = [
    "plain",
    "p%40ss",
    "100%",
    "%(here)s",
    "user@host",
    "a/b/c",
    "a:b",
    "what?",
    "#1",
    "a&b=c",
    "a+b",
    " two  spaces ",
    "back\\slash",
    "'\"`$HOME",
    "ünïcödé ☃ 密码",
    "[::1]",
    "{{ 7 * 7 }}",
    ";,!~*()",
]
REMOTE = Parts(host="db.example.org", password=PASSWORDS[0], tls_ca="/etc/ssl/ca.pem")


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
@pytest.mark.parametrize("host", ["db.example.org", "192.0.2.7", "2001:db8::7", ""])
@pytest.mark.parametrize("password", PASSWORDS)
def test_sqlalchemy_reads_the_same_parts(engine: str, host: str, password: str) -> None:
    parts = Parts(engine=engine, host=host, port=6543, name="ml-flow_1", user=f"u{password}", password=password)
    url = make_url(uri(parts))

    assert (url.username, url.password, url.database) == (f"u{password}", password, "ml-flow_1")
    assert (url.host or "") == host
    assert url.get_backend_name() == engine
    assert url.get_driver_name() == {"postgresql": "psycopg", "mysql": "pymysql"}[engine]
    if host:
        assert url.port == 6543


@pytest.mark.parametrize("password", PASSWORDS)
def test_an_environment_file_keeps_the_address(password: str) -> None:
    address = uri(replace(REMOTE, password=password))
    assert environment.parse(environment.render({"URI": address})) == {"URI": address}


ADDRESSES = [
    ({}, "postgresql+psycopg://mlflow@/mlflow?host=/run/postgresql"),
    ({"socket": "/tmp/pg", "port": 5433}, "postgresql+psycopg://mlflow@/mlflow?host=/tmp/pg&port=5433"),
    ({"engine": "mysql"}, "mysql+pymysql://mlflow@/mlflow?unix_socket=/run/mysqld/mysqld.sock"),
    ({"host": "db", "password": "p@ss"}, "postgresql+psycopg://mlflow:p%40ss@db/mlflow"),
    ({"host": "::1", "port": 1}, "postgresql+psycopg://mlflow@[::1]:1/mlflow"),
    ({"host": "db", "tls": "require"}, "postgresql+psycopg://mlflow@db/mlflow?sslmode=require"),
    (
        {"host": "db", "tls_ca": "/ca", "tls_certificate": "/c", "tls_key": "/k"},
        "postgresql+psycopg://mlflow@db/mlflow?sslmode=verify-full&sslrootcert=/ca&sslcert=/c&sslkey=/k",
    ),
    ({"engine": "mysql", "host": "db", "tls": "disable"}, "mysql+pymysql://mlflow@db/mlflow?ssl_disabled=true"),
    (
        {"engine": "mysql", "host": "db", "tls": "require"},
        "mysql+pymysql://mlflow@db/mlflow?ssl_check_hostname=false",
    ),
    (
        {"engine": "mysql", "host": "db", "tls": "verify-ca", "tls_ca": "/ca"},
        "mysql+pymysql://mlflow@db/mlflow?ssl_ca=/ca&ssl_check_hostname=false",
    ),
    (
        {"engine": "mysql", "host": "db", "tls_ca": "/ca", "tls_certificate": "/c", "tls_key": "/k"},
        "mysql+pymysql://mlflow@db/mlflow?ssl_ca=/ca&ssl_cert=/c&ssl_key=/k&ssl_check_hostname=true",
    ),
    # What makes no address; the preflight says why.
    ({"engine": "mongo"}, ""),
    ({"hots": "db"}, ""),
    ({"password": 1234}, ""),
    ({"port": "5432"}, ""),
]


@pytest.mark.parametrize(("given", "address"), ADDRESSES, ids=[str(row[0]) for row in ADDRESSES])
def test_filter(given: dict[str, Any], address: str) -> None:
    assert database_uri(given) == address


def test_types_are_refused_without_telling_the_password() -> None:
    with pytest.raises(ValueError, match="password is not a text in quotes") as caught:
        parse({"password": 271828})
    assert "271828" not in str(caught.value)


REFUSED = [
    (Parts(engine="mongo"), "engine is 'mongo'", "no driver", "mysql (for MariaDB too)"),
    (replace(REMOTE, host="db:5432"), "host is 'db:5432'", "neither a name", "without scheme, port"),
    (replace(REMOTE, host="[::1]"), "host is '[::1]'", "neither a name", "brackets"),
    (replace(REMOTE, host="http://db"), "'http://db'", "neither a name", "without scheme"),
    (replace(REMOTE, socket="/run/x"), "host and socket", "one way", "one of them"),
    (Parts(socket="run/x"), "socket is 'run/x'", "absolute", "from the root"),
    (replace(REMOTE, tls_ca="ca.pem"), "tls_ca is 'ca.pem'", "absolute", "from the root"),
    (replace(REMOTE, port=65536), "port is 65536", "the last", "5432"),
    (Parts(engine="mysql", port=-1), "port is -1", "the last", "3306"),
    (replace(REMOTE, name="a/b"), "name is 'a/b'", "as it is", "letters"),
    (replace(REMOTE, name="a?b"), "name is 'a?b'", "as it is", "letters"),
    (replace(REMOTE, name=""), "name is ''", "as it is", "letters"),
    (replace(REMOTE, user=""), "user is ''", "no database server", "its name"),
    (replace(REMOTE, tls_ca=""), "nothing is said of TLS", "readable", "tls_ca"),
    (replace(REMOTE, tls="prefer"), "tls is 'prefer'", "no such mode", "verify-full"),
    (replace(REMOTE, tls="verify-full", tls_ca=""), "without tls_ca", "can't be verified", "ca-certificates.crt"),
    (replace(REMOTE, tls="disable"), "disable, with tls_ca", "not be used", "either"),
    (replace(REMOTE, tls_certificate="/c"), "one of tls_certificate", "proved by both", "both, or none"),
    (Parts(tls="require"), "TLS and no host", "no network", "name the host"),
]


@pytest.mark.parametrize(("parts", "found", "why", "instead"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refuses(parts: Parts, found: str, why: str, instead: str) -> None:
    (problem,) = problems("x", parts)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


@pytest.mark.parametrize(
    "parts",
    [
        Parts(),
        Parts(engine="mysql"),
        REMOTE,
        replace(REMOTE, host="2001:db8::7"),
        Parts(host="127.0.0.1"),
        Parts(host="localhost", password=PASSWORDS[0]),
        replace(REMOTE, tls="require", tls_ca=""),
        replace(REMOTE, tls="disable", tls_ca=""),
        replace(REMOTE, tls_certificate="/c", tls_key="/k"),
    ],
)
def test_accepts(parts: Parts) -> None:
    assert list(problems("x", parts)) == []
