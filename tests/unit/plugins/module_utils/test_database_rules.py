"""Each row is a setting of the database that the server's preflight refuses, and what it says."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_rules import (
    ASCII,
    NO_TEXT,
    UNICODE,
    Settings,
    problems,
)

SQLITE = "sqlite:////var/lib/mlflow/backend/mlflow.db"
URIS = {"mlflow_server_backend_store_uri": "postgresql+psycopg://…@db/mlflow", "mlflow_server_registry_store_uri": ""}

REFUSED = [
    (Settings({"host": "localhost"}, uri_given=True), "both given", "one database", "leave one out"),
    (Settings(secret=NO_TEXT), "password is not a text", "number", "quotes"),
    (Settings({"engine": "mysql"}, secret=UNICODE), "other characters", "Latin-1", "letters, digits"),
    (Settings({"hots": "db"}), "it has hots", "could not be made", "README"),
    (Settings({"port": "5432"}), "port is not a number", "could not be made", "README"),
    (Settings({"host": "db"}), "nothing is said of TLS", "readable", "tls_ca"),
    (Settings({"user": "ml"}), "the service's account is 'mlflow'", "account's own name", "user: mlflow"),
    (Settings(pool_size=0), "pool_size is 0", "passes a 0 over", "1 or more"),
    (Settings(pool_overflow=0), "pool_overflow is 0", "takes 10", "1 or more"),
    (Settings(pool_overflow=-1), "pool_overflow is -1", "can't be counted", "1 or more"),
    (Settings(pool_recycle=0), "pool_recycle is 0", "age in seconds", "-1 for never"),
    (Settings(servers=0), "servers is 0", "one of them", "1 or more"),
    (Settings(journal_mode="wal"), "journal_mode is wal", "a log of their own", "leave it out"),
]


@pytest.mark.parametrize(("settings", "found", "why", "instead"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refuses(settings: Settings, found: str, why: str, instead: str) -> None:
    (problem,) = problems(settings, "mlflow", URIS, "3.17.2")
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


@pytest.mark.parametrize(
    ("settings", "uri"),
    [
        (Settings(), SQLITE),
        (Settings(journal_mode="wal"), SQLITE),
        (Settings({"engine": "mysql"}), "mysql+pymysql://"),
        (Settings({"user": "ml"}, secret=ASCII), ""),
        (Settings({"host": "db", "tls": "disable", "user": "ml"}), ""),
        (Settings({"host": "localhost"}, secret=UNICODE), ""),
        (Settings(pool_recycle=-1), ""),
    ],
)
def test_accepts(settings: Settings, uri: str) -> None:
    assert list(problems(settings, "mlflow", {"mlflow_server_backend_store_uri": uri}, "3.17.2")) == []


@pytest.mark.parametrize(
    ("uri", "version", "refused"),
    [
        ("postgresql+psycopg://…@db/mlflow", "3.15.2", True),
        ("postgresql+psycopg://…@db/mlflow", "2.22.5", True),
        ("postgresql+psycopg://…@db/mlflow", "3.16.0", False),
        ("postgresql+psycopg2://…@db/mlflow", "3.1.4", False),
        ("mysql+pymysql://…@db/mlflow", "3.1.4", False),
    ],
)
def test_releases_that_the_driver_fails_with(uri: str, version: str, refused: bool) -> None:
    found = list(problems(Settings(), "mlflow", {"mlflow_server_backend_store_uri": uri}, version))
    assert ["psycopg2-binary" in problem.instead for problem in found] == [True] * refused
