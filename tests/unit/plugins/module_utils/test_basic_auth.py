"""What MLflow's basic authentication is configured by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment, password_kind
from ansible_collections.selfhosted.mlflow.plugins.module_utils.basic_auth import (
    KEY,
    KNOWN_TO_ALL,
    Files,
    Wished,
    plan,
    read_ini,
    shown,
)

URI = "postgresql+psycopg://mlflow:p%40ss@db/accounts"
WISHED = Wished("admin", "READ", URI)
GIVEN = Wished("admin", "READ", URI, "100%% of a p=ssword # ;", "a key of mine")


def source() -> Callable[[], str]:
    made = iter(("first-secret", "second-secret"))
    return lambda: next(made)


def secrets(files: Files) -> tuple[str, str]:
    return read_ini(files.ini)["admin_password"], environment.parse(files.env)[KEY]


def test_what_is_not_given_is_made() -> None:
    assert secrets(plan(WISHED, Files(), source(), "ours")) == ("first-secret", "second-secret")


def test_what_is_given_is_written_as_mlflow_reads_it() -> None:
    files = plan(GIVEN, Files(), source(), "ours")

    assert secrets(files) == (GIVEN.admin_password, GIVEN.secret_key)
    assert read_ini(files.ini)["database_uri"] == URI


def test_what_is_there_stays() -> None:
    first = plan(WISHED, Files(), source(), "ours")

    assert plan(WISHED, first, source(), "ours") == first
    given = plan(GIVEN, first, source(), "ours")
    assert plan(WISHED, given, source(), "ours") == given


@pytest.mark.parametrize("found", [KNOWN_TO_ALL, "short", ""])
def test_a_password_that_may_not_be_is_replaced(found: str) -> None:
    """Of a configuration that somebody wrote by hand."""
    there = Files(f"[mlflow]\nadmin_password = {found}\n")

    assert secrets(plan(WISHED, there, source(), "ours"))[0] == "first-secret"


@pytest.mark.parametrize("text", ["nonsense", "[other]\n", "[mlflow]\nadmin_password = 5%\n"])
def test_what_mlflow_can_not_read_is_written_anew(text: str) -> None:
    assert secrets(plan(WISHED, Files(text), source(), "ours"))[0] == "first-secret"


def test_a_diff_shows_no_secret() -> None:
    first = plan(WISHED, Files(), source(), "ours")
    second = plan(GIVEN, first, source(), "ours")

    assert shown(first, first).splitlines() == [
        "default_permission = READ",
        "database_uri = (hidden)",
        "admin_username = admin",
        "admin_password = (hidden)",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
        f"{KEY} = (hidden)",
    ]
    assert "admin_password = (hidden, changed)" in shown(second, first)
    assert "database_uri = (hidden)" in shown(second, first)


@pytest.mark.parametrize("wished", [WISHED, GIVEN])
def test_nothing_secret_is_in_a_traceback(wished: Wished) -> None:
    told = repr(wished) + repr(plan(wished, Files(), source(), "ours"))

    assert not any(secret in told for secret in ("p%40ss", "p=ssword", "a key of mine", "first-secret"))


@pytest.mark.parametrize(
    ("password", "kind"),
    [
        ("", "none"),
        (None, "none"),
        (123456789012, "no_text"),
        ("password1234", "default"),
        ("eleven-long", "short"),
        ("twelve--long", "fine"),
        (" blank before", "odd"),
        ("blank behind ", "odd"),
        ("line\nbreak and so on", "odd"),
        ("pässwörd-with-ümlauts", "fine"),
    ],
)
def test_kinds_of_passwords(password: object, kind: str) -> None:
    assert password_kind.kind(password) == kind
