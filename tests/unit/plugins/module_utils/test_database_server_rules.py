"""Each row is an input that the role mlflow_database refuses, and what it says; and whom it lets in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import database_server
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_rules import ASCII, NO_TEXT, NONE, UNICODE
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_server_rules import (
    Cluster,
    Evidence,
    Wish,
    cluster,
    judge,
    let_in,
)

MAIN = Cluster("15", "main", 5432)
LOCAL = Wish()
REMOTE = Wish(secret=ASCII, clients=("10.0.0.7",), tls_certificate="/c.pem", tls_key="/c.key")
MARIADB = replace(REMOTE, engine="mysql", port=3306)
FRESH = Evidence()

REFUSED = [
    (replace(LOCAL, name="ml-flow"), FRESH, "name is 'ml-flow'", "plain name", "small letters"),
    (replace(LOCAL, name="postgres"), FRESH, "name is 'postgres'", "server's own", "small letters"),
    (replace(LOCAL, user="root"), FRESH, "user is 'root'", "server's own", "small letters"),
    (replace(LOCAL, user="a'; --"), FRESH, 'user is "a\'; --"', "plain name", "small letters"),
    (replace(LOCAL, secret=NO_TEXT), FRESH, "password is not a text", "number", "quotes"),
    (replace(MARIADB, secret=UNICODE), FRESH, "other characters", "Latin-1", "ASCII"),
    (replace(LOCAL, port=0), FRESH, "port is 0", "the last", "5432"),
    (replace(LOCAL, port=70000), FRESH, "port is 70000", "the last", "5432"),
    (replace(LOCAL, max_connections=3), FRESH, "max_connections is 3", "administrators", "100 or more"),
    (replace(LOCAL, release=""), FRESH, "neither Debian 12 nor 13", "packages", "by other means"),
    (replace(LOCAL, port=5433), Evidence((MAIN,)), "15/main on 5432", "nobody's port", "the cluster that is meant"),
    (replace(REMOTE, clients=("nas.x",)), FRESH, "'nas.x', which this host can't resolve", "by address", "getent"),
    (replace(REMOTE, clients=("0.0.0.0/0",)), FRESH, "'0.0.0.0/0'", "everybody", "network of the MLflow servers"),
    (replace(REMOTE, clients=("::/0",)), FRESH, "'::/0'", "everybody", "network of the MLflow servers"),
    (
        replace(MARIADB, clients=("fd00::/8",)),
        FRESH,
        "'fd00::/8', and the engine",
        "no networks of IPv6",
        "each address",
    ),
    (replace(REMOTE, secret=NONE), FRESH, "there is no password", "only by the host's socket", "mlflow_database.host"),
    (replace(REMOTE, tls_certificate="", tls_key=""), FRESH, "no certificate", "readable", "tls: disable"),
    (replace(REMOTE, tls_key=""), FRESH, "one of mlflow_database_tls", "both", "both, or none"),
    (REMOTE, Evidence(missing_files=("/c.pem",)), "no file /c.pem", "be given it", "put it there"),
    (replace(REMOTE, listen_addresses=("db.x",)), FRESH, "['db.x']", "addresses of its host", '["*"]'),
    (replace(REMOTE, listen_addresses=()), FRESH, "[]", "addresses of its host", '["*"]'),
    (LOCAL, Evidence((MAIN,), owner="shop"), "belongs to shop", "nobody else's", "another mlflow_database_name"),
    (LOCAL, Evidence((MAIN,), powers=True), "is an administrator", "nothing else", "another mlflow_database_user"),
    (
        LOCAL,
        Evidence((MAIN,), owns=("shop",)),
        "other databases, too: shop",
        "password",
        "another mlflow_database_user",
    ),
]


@pytest.mark.parametrize(("wish", "evidence", "found", "why", "instead"), REFUSED, ids=[row[2] for row in REFUSED])
def test_refuses(wish: Wish, evidence: Evidence, found: str, why: str, instead: str) -> None:
    (problem,) = judge(wish, evidence)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


@pytest.mark.parametrize(
    ("wish", "evidence"),
    [
        (LOCAL, FRESH),
        (LOCAL, Evidence((MAIN,), owner="mlflow")),
        (replace(LOCAL, release=""), Evidence((MAIN,))),
        (replace(LOCAL, port=5433), Evidence((MAIN, Cluster("15", "ml", 5433)))),
        (replace(LOCAL, secret=UNICODE), FRESH),
        (REMOTE, FRESH),
        (replace(REMOTE, clients=("nas.x",)), Evidence(resolved={"nas.x": ("10.0.0.9",)})),
        (replace(REMOTE, tls_required=False, tls_certificate="", tls_key=""), FRESH),
        (replace(REMOTE, clients=("127.0.0.1", "::1"), tls_certificate="", tls_key=""), FRESH),
        (MARIADB, FRESH),
    ],
)
def test_accepts(wish: Wish, evidence: Evidence) -> None:
    assert judge(wish, evidence) == []


def test_clients_are_let_in_by_address() -> None:
    wish = replace(REMOTE, clients=("10.0.0.7", "10.0.7.9/24", "nas.x", "127.0.0.1", "fd00::7"))
    told = let_in(wish, Evidence(resolved={"nas.x": ("10.0.0.9", "10.0.0.7")}))
    assert [(one["network"], one["tls"]) for one in told] == [
        ("10.0.0.7/32", True),
        ("10.0.7.0/24", True),
        ("10.0.0.9/32", True),
        ("127.0.0.1/32", False),
        ("fd00::7/128", True),
    ]


def test_mariadb_has_its_own_notation_and_one_account_for_the_host_itself() -> None:
    wish = replace(MARIADB, clients=("10.0.0.7", "10.0.7.9/24", "127.0.0.1", "::1", "fd00::7"), tls_required=False)
    told = let_in(wish, FRESH)
    assert [one["account_host"] for one in told] == ["10.0.0.7", "10.0.7.0/255.255.255.0", "localhost", "fd00::7"]
    assert not any(one["tls"] for one in told)


def test_the_cluster_of_the_port_is_meant() -> None:
    other = Cluster("15", "ml", 5433)
    assert cluster(replace(LOCAL, port=5433), Evidence((MAIN, other))) == other
    assert cluster(LOCAL, FRESH).directory == "/etc/postgresql/15/main"
    assert cluster(LOCAL, FRESH).service == "postgresql@15-main.service"


def test_clusters_are_found_with_the_port_that_counts(tmp_path: Path) -> None:
    for name, text in {"15/main": "#port = 1\nport = 5432 # comment\n", "15/ml": "port=5433\n", "17/new": ""}.items():
        (tmp_path / name / "conf.d").mkdir(parents=True)
        (tmp_path / name / "postgresql.conf").write_text(text)
    (tmp_path / "15/ml/conf.d/x.conf").write_text("  port = '6000'\n")
    found = [(one.version, one.name, one.port) for one in database_server.clusters(str(tmp_path))]
    assert found == [("15", "main", 5432), ("15", "ml", 6000), ("17", "new", 5432)]
