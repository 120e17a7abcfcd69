"""Each bad input of mlflow_client is refused with what was found and what to write instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.account_ids import Known
from ansible_collections.selfhosted.mlflow.plugins.module_utils.client_rules import (
    ClientHost,
    ClientInputs,
    judge,
)

GOOD = ClientInputs(tracking_uri="http://mlflow:5000", shared_group="mlflow-users", shared_gid=851)
HOST = ClientHost(groups=Known({}, {}), unknown_users=(), ca_bundle_readable=False)


@pytest.mark.parametrize(
    ("inputs", "host"),
    [
        pytest.param(GOOD, HOST, id="untouched host"),
        pytest.param(GOOD, replace(HOST, groups=Known({"mlflow-users": 851}, {851: "mlflow-users"})), id="second run"),
        pytest.param(replace(GOOD, umask="0002"), HOST, id="umask"),
        pytest.param(replace(GOOD, umask="002"), HOST, id="short umask"),
        pytest.param(replace(GOOD, tracking_uri="https://mlflow/team"), HOST, id="prefix"),
        pytest.param(
            replace(GOOD, environment=(("MLFLOW_HTTP_REQUEST_TIMEOUT", "60"), ("NOTE", "two words"))),
            HOST,
            id="environment",
        ),
        pytest.param(replace(GOOD, credentials=("alice",), password_kinds=("short",)), HOST, id="credentials"),
        pytest.param(replace(GOOD, ca_bundle="/ca.pem"), replace(HOST, ca_bundle_readable=True), id="CA"),
    ],
)
def test_right_inputs_pass(inputs: ClientInputs, host: ClientHost) -> None:
    assert judge(inputs, host) == []


@pytest.mark.parametrize(
    ("inputs", "host", "found", "instead"),
    [
        pytest.param(replace(GOOD, tracking_uri=""), HOST, "is empty", "set mlflow_tracking_uri", id="no URI"),
        pytest.param(replace(GOOD, tracking_uri="file:///mlruns"), HOST, "file:///mlruns", "http://", id="file URI"),
        pytest.param(replace(GOOD, tracking_uri="sqlite:////m.db"), HOST, "sqlite:", "http://", id="database URI"),
        pytest.param(replace(GOOD, tracking_uri="mlflow:5000"), HOST, "'mlflow:5000'", "http://", id="no scheme"),
        pytest.param(replace(GOOD, tracking_uri="http://"), HOST, "'http://'", "http://", id="no host"),
        pytest.param(replace(GOOD, tracking_uri="http://u:p4ss@h"), HOST, "password", "leave", id="password in URI"),
        pytest.param(replace(GOOD, umask="2"), HOST, "'2'", '"0002"', id="umask that lost its zeros"),
        pytest.param(replace(GOOD, umask="0888"), HOST, "'0888'", '"0002"', id="umask not octal"),
        pytest.param(replace(GOOD, environment=(("A-B", "1"),)), HOST, "'A-B'", "letters", id="variable's name"),
        pytest.param(
            replace(GOOD, environment=(("MLFLOW_TRACKING_PASSWORD", "x"),)),
            HOST,
            "PASSWORD",
            "0600",
            id="secret",
        ),
        pytest.param(
            replace(GOOD, credentials=("carol",), password_kinds=("fine",)),
            replace(HOST, homeless=("carol",)),
            "names carol, without an account or a home",
            "with a home",
            id="credentials of nobody",
        ),
        pytest.param(
            replace(GOOD, credentials=("alice", "alice"), password_kinds=("fine", "fine")),
            HOST,
            "alice more than once",
            "leave one",
            id="two accounts",
        ),
        pytest.param(
            replace(GOOD, credentials=("alice",), password_kinds=("odd",)),
            HOST,
            "the password of alice",
            "between quotes",
            id="odd password",
        ),
        pytest.param(replace(GOOD, environment=(("A", "x$HOME"),)), HOST, "value of A", "without", id="dollar"),
        pytest.param(replace(GOOD, environment=(("A", "x\ny"),)), HOST, "value of A", "without", id="line break"),
        pytest.param(
            replace(GOOD, users=("eve",)),
            replace(HOST, unknown_users=("eve",)),
            "eve",
            "create",
            id="no such user",
        ),
        pytest.param(
            GOOD,
            replace(HOST, groups=Known({"mlflow-users": 900}, {900: "mlflow-users"})),
            "number 900",
            "mlflow_shared_gid: 900",
            id="other gid",
        ),
        pytest.param(
            GOOD,
            replace(HOST, groups=Known({"docker": 851}, {851: "docker"})),
            "group docker",
            "free on all",
            id="gid taken",
        ),
        pytest.param(replace(GOOD, ca_bundle="/no.pem"), HOST, "/no.pem", "copy", id="no CA file"),
    ],
)
def test_bad_input_is_refused(inputs: ClientInputs, host: ClientHost, found: str, instead: str) -> None:
    (problem,) = judge(inputs, host)

    assert found in problem.found
    assert instead in problem.instead


def test_a_secret_in_the_address_is_not_repeated() -> None:
    (problem,) = judge(replace(GOOD, tracking_uri="http://user:p4ss@host"), HOST)

    assert "p4ss" not in str(problem)


def test_all_problems_are_told_at_once() -> None:
    inputs = replace(GOOD, tracking_uri="", umask="x", users=("eve",))

    assert len(judge(inputs, replace(HOST, unknown_users=("eve",)))) == 3
