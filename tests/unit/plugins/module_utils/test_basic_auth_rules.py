"""Each row is a setting of accounts that the server's preflight must refuse, and what its message must say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_root import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.basic_auth_rules import Accounts, problems

MOUNTS = mountinfo.parse("22 1 254:1 / / rw - ext4 /dev/vda1 rw")
SERVER = "postgresql+psycopg://…@db/accounts"


def judged(servers: int = 1, names: tuple[str, ...] = (), **changes: Any) -> list[str]:
    accounts = Accounts(**{"enabled": True, **changes})
    root = Root("/srv/mlflow/artifacts", "proxied")
    return [str(problem) for problem in problems(accounts, servers, names, root, MOUNTS, locked=True)]


@pytest.mark.parametrize(
    ("wished", "found", "why", "instead"),
    [
        ({"admin_username": ""}, "admin_username is ''", "can't be sent", "letters"),
        ({"admin_username": "a:b"}, "admin_username is 'a:b'", "can't be sent", "without a colon"),
        ({"admin_username": "100%"}, "admin_username is '100%'", "configuration", "%"),
        ({"admin_username": " a"}, "admin_username is ' a'", "can't be sent", "letters"),
        ({"admin_password": "default"}, "mlflow_server_admin_password is the one", "anybody", "12 characters"),
        ({"admin_password": "short"}, "fewer than 12", "MLflow takes none", "12 characters"),
        ({"admin_password": "no_text"}, "not a text", "YAML", "between quotes"),
        ({"secret_key": "odd"}, "mlflow_server_secret_key has blanks", "the files", "line breaks"),
        (
            {"names": ("MLFLOW_AUTH_CONFIG_PATH",)},
            "'MLFLOW_AUTH_CONFIG_PATH'",
            "contradict",
            "mlflow_server_basic_auth",
        ),
        ({"database_uri": "sqlite:///basic_auth.db"}, "accounts_uri", "lacks a slash", "sqlite:////"),
        ({"database_uri": "postgresql://db/accounts"}, "accounts_uri", "driver", "psycopg"),
        ({"database_uri": "mysql+pymysql://…@db/accounts"}, "MariaDB's", "errno 121", "PostgreSQL"),
        ({"same_database": True}, "accounts_uri is the database of the runs", "one table", "of their own"),
        (
            {"servers": 2, "database_uri": SERVER, "secret_key": "fine"},
            "admin_password is empty",
            "one of its own",
            "vault",
        ),
        ({"servers": 2, "database_uri": SERVER, "admin_password": "fine"}, "secret_key is empty", "one of", "vault"),
        ({"servers": 2, "secret_key": "fine", "admin_password": "fine"}, "SQLite", "unknown to the others", "the same"),
    ],
)
def test_refuses(wished: dict[str, Any], found: str, why: str, instead: str) -> None:
    told = judged(**wished)

    assert len(told) == 1, told
    assert all(part in told[0] for part in (found, f"{why}", f"{instead}")), told


@pytest.mark.parametrize(
    "wished",
    [
        {},
        {"admin_username": "jörg der erste", "admin_password": "fine"},
        {"database_uri": SERVER},
        {"servers": 2, "database_uri": SERVER, "secret_key": "fine", "admin_password": "fine"},
        {"enabled": False, "admin_password": "short", "names": ("MLFLOW_AUTH_CONFIG_PATH",), "servers": 2},
    ],
)
def test_accepts(wished: dict[str, Any]) -> None:
    assert judged(**wished) == []
