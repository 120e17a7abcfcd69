"""Names and numbers of accounts, wanted and taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import account_ids
from ansible_collections.selfhosted.mlflow.plugins.module_utils.account_ids import Account, Known

GROUP = Account("group", "mlflow", 850, "mlflow_service_group", "mlflow_service_gid")
SHARED = Account("group", "mlflow-users", 851, "mlflow_shared_group", "mlflow_shared_gid")
USER = Account("user", "mlflow", 850, "mlflow_service_user", "mlflow_service_uid")
ALL = (GROUP, SHARED, USER)
NOBODY = Known({}, {})
OURS = Known({"mlflow": 850, "mlflow-users": 851}, {850: "mlflow", 851: "mlflow-users"})


@pytest.mark.parametrize(("users", "groups"), [(NOBODY, NOBODY), (OURS, OURS), (NOBODY, OURS)])
def test_free_or_ours_is_right(users: Known, groups: Known) -> None:
    assert account_ids.conflicts(ALL, users, groups) == []


@pytest.mark.parametrize(
    ("users", "groups", "found"),
    [
        (Known({"mlflow": 999}, {}), NOBODY, "user mlflow has the number 999 on this host, not 850"),
        (Known({}, {850: "backup"}), NOBODY, "the number 850 belongs to user backup"),
        (NOBODY, Known({"mlflow-users": 1003}, {}), "group mlflow-users has the number 1003"),
        (NOBODY, Known({}, {851: "docker"}), "the number 851 belongs to group docker"),
    ],
)
def test_taken_by_someone_else_is_refused_naming_him(users: Known, groups: Known, found: str) -> None:
    (problem,) = account_ids.conflicts(ALL, users, groups)
    assert found in problem.found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ((replace(USER, number=0),), "mlflow_service_uid is 0"),
        ((replace(USER, number=65534),), "mlflow_service_uid is 65534"),
        ((replace(USER, number=-1),), "mlflow_service_uid is -1"),
        ((replace(USER, number=4294967295),), "mlflow_service_uid is 4294967295"),
        ((replace(USER, name="ML flow"),), "mlflow_service_user is 'ML flow'"),
        ((replace(USER, name=""),), "mlflow_service_user is ''"),
        ((replace(USER, name="-x"),), "mlflow_service_user is '-x'"),
        ((GROUP, replace(SHARED, number=850)), "mlflow_service_group and mlflow_shared_group"),
        ((GROUP, replace(SHARED, name="mlflow")), "mlflow_service_group and mlflow_shared_group"),
    ],
)
def test_refuses_inputs(wanted: tuple[Account, ...], found: str) -> None:
    (problem,) = account_ids.conflicts(wanted, NOBODY, NOBODY)
    assert found in problem.found


@pytest.mark.parametrize(
    ("users", "groups", "missing"),
    [
        (NOBODY, NOBODY, ("group mlflow", "group mlflow-users", "user mlflow")),
        (NOBODY, OURS, ("user mlflow",)),
        (OURS, OURS, ()),
    ],
)
def test_tells_what_is_missing(users: Known, groups: Known, missing: tuple[str, ...]) -> None:
    assert account_ids.missing(ALL, users, groups) == missing
