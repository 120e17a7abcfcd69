"""Which steps lead to the accounts that are wished, and which wishes are refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_plan import (
    EXPERIMENT,
    MODEL,
    Grant,
    Present,
    Step,
    Thing,
    User,
    Wished,
    plan,
    shown,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_rules import judge

ALICE = User("alice", "a good password")
CHURN, OTHER = Thing(EXPERIMENT, "3"), Thing(MODEL, "other")
PRESENT = Present(
    {"admin": True, "alice": False, "bob": True},
    {("alice", CHURN): "READ", ("alice", OTHER): "MANAGE", ("bob", OTHER): "EDIT"},
)


def steps(*users: User, grants: tuple[Grant, ...] = (), purge: tuple[str, ...] = (), others: str = "") -> list[str]:
    found = plan(Wished(users, grants, purge), PRESENT, "admin", others.split())
    return [f"{s.action} {s.user} {s.thing.id if s.thing else ''} {s.permission}".strip() for s in found]


@pytest.mark.parametrize(
    ("user", "others", "expected"),
    [
        (ALICE, "", []),
        (ALICE, "alice", ["set_password alice"]),
        (User("alice", admin=True), "", ["set_admin alice"]),
        (User("alice", admin=False), "", []),
        (User("bob", admin=False), "", ["set_admin bob"]),
        (User("bob"), "", []),
        (User("carol", "a good password"), "", ["create carol"]),
        (User("carol", "a good password", admin=True), "", ["create carol", "set_admin carol"]),
        (User("carol", "a good password", admin=False), "", ["create carol"]),
        (User("alice", present=False), "", ["delete alice"]),
        (User("carol", present=False), "", []),
    ],
)
def test_users(user: User, others: str, expected: list[str]) -> None:
    assert steps(user, others=others) == expected


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (Grant("alice", CHURN, "READ"), []),
        (Grant("alice", CHURN, "EDIT"), ["change alice 3 EDIT"]),
        (Grant("bob", CHURN, "EDIT"), ["grant bob 3 EDIT"]),
        (Grant("alice", CHURN, "", present=False), ["revoke alice 3"]),
        (Grant("bob", CHURN, "", present=False), []),
        # Of another kind, though of the same name.
        (Grant("alice", Thing(MODEL, "3"), "READ"), ["grant alice 3 READ"]),
    ],
)
def test_permissions(grant: Grant, expected: list[str]) -> None:
    assert steps(grants=(grant,)) == expected


def test_users_are_purged_by_choice_but_for_the_one_who_asks() -> None:
    assert steps(ALICE) == []
    assert steps(ALICE, purge=("users",)) == ["delete bob"]
    assert steps(grants=(Grant("bob", OTHER, "EDIT"),), purge=("users",)) == ["delete alice"]


def test_permissions_are_purged_of_named_users_only() -> None:
    assert steps(grants=(Grant("alice", CHURN, "READ"),), purge=("permissions",)) == ["revoke alice other"]
    assert steps(ALICE, purge=("permissions",)) == ["revoke alice 3", "revoke alice other"]
    assert steps(User("bob", present=False), purge=("permissions",)) == ["delete bob"]


def test_a_diff_has_names_and_no_password() -> None:
    wished = Wished(
        (ALICE, User("bob", admin=False), User("carol", "another password")), (Grant("bob", CHURN, "READ"),)
    )
    found = plan(wished, PRESENT, "admin", {"alice"})

    assert shown(PRESENT, found, {CHURN: "churn"}) == (
        "user alice\nuser bob (administrator)\n",
        "user alice (new password)\nuser bob\nexperiment churn: bob READ\nuser carol (new password)\n",
    )
    assert "good password" not in repr(wished) + repr(found) + repr(Step("create", "x", "good password"))


GRANT = {"user": "alice", "experiment": "churn", "permission": "READ"}


@pytest.mark.parametrize(
    ("users", "permissions", "found", "instead"),
    [
        ([{"name": "a:b"}], [], "the name 'a:b'", "without a colon"),
        ([{"name": ""}], [], "the name ''", "use letters"),
        ([{"name": " a"}], [], "the name ' a'", "blanks"),
        ([{"name": "a", "password": "sh0rt!"}], [], "the password of a has fewer", "12 characters"),
        ([{"name": "a", "password": 123456789012}], [], "the password of a is not a text", "quotes"),
        ([{"name": "a"}, {"name": "a"}], [], "'a' is there 2 times", "leave one"),
        ([], [{**GRANT, "registered_model": "m"}], "experiment and registered_model", "either"),
        ([], [{"user": "alice", "permission": "READ"}], "names nothing", "either"),
        ([], [{"user": "alice", "experiment": "churn"}], "on 'churn' is empty", "write READ"),
        ([], [GRANT, {**GRANT, "permission": "EDIT"}], "'alice' has 2 permissions on 'churn'", "leave one"),
        ([{"name": "alice", "state": "absent"}], [GRANT], "'alice' is to be absent", "take the permission out"),
        ([{"name": "admin", "password": "a good password"}], [], "the administrator who asks", "admin_password"),
        ([{"name": "admin", "admin": False}], [], "the administrator who asks", "another administrator"),
    ],
)
def test_refuses(users: list[Any], permissions: list[Any], found: str, instead: str) -> None:
    (problem,) = judge(users, permissions, "admin")

    assert found in problem.found
    assert instead in problem.instead
    assert not any(secret in str(problem) for secret in ("sh0rt!", "123456789012", "a good password"))


def test_accepts() -> None:
    users = [{"name": "alice", "password": "a good password"}, {"name": "bob", "state": "absent"}, {"name": "admin"}]

    assert judge(users, [GRANT, {**GRANT, "user": "bob", "state": "absent"}], "admin") == []
