"""Real databases are asked by the drivers of the locks; what is wrong with them is told, and the password never."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    database_probe,
    database_probe_program,
    program,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_parts import Parts, uri
from lab.databases import ODD, Certificates, Server, free_port

WRONG = "wr0ng-secret"
LITTLE = database_probe.Demand(workers=1, pool_size=1, pool_overflow=1, servers=1)


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture
def parts(server: Server, certificates: Certificates) -> Parts:
    """What lets the user in, its certificate and its name verified."""
    return Parts(server.engine, "localhost", server.port, password=ODD, tls_ca=str(certificates.authority))


def ask(*addresses: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-I", "-c", program.source(database_probe_program)]
    ended = program.run(command, json.dumps(addresses), {"HOME": "/nonexistent"}, 60)
    assert ODD not in ended.out + ended.err
    return database_probe.parse(ended.out)


def problem(parts: Parts, demand: database_probe.Demand = LITTLE, stores: int = 2) -> str:
    """What is said of the one problem there is, '' when there is none."""
    (answer,) = ask(uri(parts))
    return "\n".join(map(str, database_probe.problems(answer, stores, demand)))


def test_says_what_it_is(parts: Parts, server: Server) -> None:
    (answer,) = ask(uri(parts))

    assert answer["where"] == f"database mlflow of {server.engine} at localhost, as mlflow"
    assert (answer["engine"], answer["max_connections"], answer["tls"]) == (server.engine, 40, True)
    assert (answer["user_limit"], answer["database_limit"], answer["may_create"]) == (-1, -1, True)


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_modes_encrypt(parts: Parts, mode: str) -> None:
    (answer,) = ask(uri(replace(parts, tls=mode, tls_ca="" if mode == "require" else parts.tls_ca)))
    assert answer["tls"] is True


def test_tls_may_be_left_out(parts: Parts) -> None:
    (answer,) = ask(uri(replace(parts, name="plain", tls="disable", tls_ca="")))
    assert answer["tls"] is False


# What is wrong, why it is, what to do.
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"password": WRONG}, "does not take this user with this password", "correct the password"),
    ({"password": ""}, "does not take this user with this password", "correct the password"),
    ({"name": "nowhere"}, "has no such database", "correct its name"),
    ({"port": free_port()}, "nothing answers there", "start the database"),
    ({"host": "db.invalid"}, "can't resolve the database's name", "getent hosts"),
    ({"host": "", "socket": "/nonexistent/x.sock", "tls_ca": ""}, "nothing answers there", "start the database"),
    ({"tls_ca": "STRANGER"}, "do not prove what was asked for", "correct tls_ca"),
    ({"tls_ca": "/nonexistent.pem"}, "do not prove what was asked for", "readable for the service's account"),
    ({"host": "127.0.0.1"}, "do not prove what was asked for", "which the certificate must name"),
]


@pytest.mark.parametrize(("changes", "why", "instead"), REFUSED, ids=[str(row[0]) for row in REFUSED])
def test_says_what_is_wrong(
    parts: Parts, certificates: Certificates, changes: dict[str, Any], why: str, instead: str
) -> None:
    stranger = {"tls_ca": str(certificates.stranger)} if changes.get("tls_ca") == "STRANGER" else {}

    said = problem(replace(parts, **{**changes, **stranger}))

    assert why in said
    assert instead in said


def test_address_that_the_authority_signed_for_another_name_is_enough_for_verify_ca(parts: Parts) -> None:
    assert problem(replace(parts, host="127.0.0.1", tls="verify-ca")) == ""


def test_postgresql_takes_any_password(postgresql: Server) -> None:
    """PyMySQL sends one as Latin-1, so that MySQL's must be of ASCII's characters."""
    foreign = "ünïcödé ☃ 密码"
    postgresql.execute(f"CREATE ROLE foreign_one LOGIN PASSWORD '{foreign}'", "postgres")
    parts = Parts("postgresql", "localhost", postgresql.port, "plain", "foreign_one", foreign, tls="require")
    assert "may not create tables" in problem(parts)


def test_postgresql_that_wants_tls(postgresql: Server) -> None:
    parts = Parts("postgresql", "localhost", postgresql.port, password=ODD, tls="disable")
    assert "by TLS only" in problem(parts)


def test_mariadb_that_wants_tls(mariadb: Server) -> None:
    parts = Parts("mysql", "localhost", mariadb.port, user="tls_only", password=ODD)
    assert problem(replace(parts, tls="require")) == ""
    # MariaDB says no more than that.
    assert "does not take this user with this password" in problem(replace(parts, tls="disable"))


def test_user_without_rights(parts: Parts, server: Server) -> None:
    said = problem(replace(parts, name="foreign_one"))
    assert ("may not create tables" if server.engine == "postgresql" else "none that this user may use") in said


def test_peer(server: Server) -> None:
    """By the socket and without a password: this test is root's, and there is no user of that name."""
    said = problem(Parts(server.engine, socket=server.socket, port=server.port, user="narrow"))
    assert ("account's own name" if server.engine == "postgresql" else "does not take this user") in said


@pytest.mark.parametrize(("workers", "fits"), [(9, True), (11, False)])
def test_connections_are_summed_up(parts: Parts, workers: int, fits: bool) -> None:
    said = problem(parts, replace(LITTLE, workers=workers))
    assert (said == "") == fits
    if not fits:
        assert f"MLflow may open {workers * 4}: 2 stores, 1 server x {workers} workers" in said


def test_a_users_own_limit_counts(parts: Parts, server: Server) -> None:
    narrow = replace(parts, user="narrow", name="narrow" if server.engine == "postgresql" else "mlflow")
    assert problem(narrow, LITTLE, stores=1) == ""
    assert "7 connections by the user's own limit" in problem(narrow, replace(LITTLE, workers=2))


def test_module(parts: Parts) -> None:
    """The module as a play runs it: asked twice, with one pool each, and by a wrong password."""

    def run(address: str, *options: str, workers: int = 1) -> subprocess.CompletedProcess[str]:
        given = {"python": sys.executable, "user": "root", "stores": [address, address], "workers": workers}
        given["pool_overflow"] = 10
        arguments = ["localhost", "--connection=local", "-m", "selfhosted.mlflow.database_preflight"]
        python = ["-e", json.dumps({"ansible_python_interpreter": sys.executable})]
        command = ["ansible", *arguments, *python, "-a", json.dumps(given), "-vvv", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

    good, wrong = uri(parts), uri(replace(parts, password=WRONG))

    ran = run(good)
    assert ran.returncode == 0, ran.stdout
    assert "max_connections: 40" in ran.stdout
    ran = run(good, workers=2)
    assert "MLflow may open 60: 2 stores, 1 server x 2 workers, each pool 5 + 10" in ran.stdout
    ran = run(wrong)
    assert ran.returncode == 2, ran.stdout
    assert "1 problem found before the server was restarted" in ran.stdout
    assert WRONG not in ran.stdout + ran.stderr
    ran = run(wrong, "--check")
    assert ran.returncode == 0
    assert "would be refused, unless this run changes it first" in ran.stdout + ran.stderr
    assert WRONG not in ran.stdout + ran.stderr
