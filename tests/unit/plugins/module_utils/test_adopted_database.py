"""An old server's database: its secrets are not shown, and the new server has to use the same one."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adopted_database

TARGET = "/var/lib/mlflow/backend/mlflow.db"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:p/w@h/d", "postgresql://…@h/d"),
        ("postgresql://u:p@w@h/d", "postgresql://…@h/d"),
        ("postgresql://u:%40%2F@h:5433/d?sslmode=require", "postgresql://…@h:5433/d?sslmode=require"),
        ("postgresql:///d?user=u&password=p%26w&host=/run", "postgresql:///d?user=u&password=…&host=/run"),
        ("postgresql://u:p@h/d?sslpassword=w", "postgresql://…@h/d?sslpassword=…"),
        ("sqlite:////home/a@b/mlflow.db", "sqlite:////home/a@b/mlflow.db"),
        ("", ""),
    ],
)
def test_what_is_shown(uri: str, shown: str) -> None:
    assert adopted_database.shown(uri) == shown


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("postgresql://…@h/d", "postgresql+psycopg://…@h/d"),
        ("postgresql+psycopg2://…@h/d", "postgresql+psycopg://…@h/d"),
        ("mysql://…@h/d", "mysql+pymysql://…@h/d"),
        ("mariadb+mysqldb://…@h/d", "mariadb+pymysql://…@h/d"),
        ("mssql+pyodbc://…@h/d", "mssql+pyodbc://…@h/d"),
        ("sqlite:////m.db", "sqlite:////m.db"),
    ],
)
def test_the_driver_is_one_that_is_installed(uri: str, wanted: str) -> None:
    assert adopted_database.for_inventory(uri) == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgresql://u:p@10.0.0.1/d", "postgresql+psycopg://…@10.0.0.1/d"),
        ("postgresql+psycopg2://u:p@localhost/d", "postgresql+psycopg://…@127.0.0.1:5432/d"),
        ("postgresql:///d?host=/var/run/postgresql", "postgresql+psycopg://…@localhost/d"),
        ("mariadb://u:p@10.0.0.1/d", "mysql+pymysql://…@10.0.0.1:3306/d?charset=utf8mb4"),
    ],
)
def test_the_same_database_in_other_words(old: str, new: str) -> None:
    assert adopted_database.problem(old, "", new, TARGET) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("postgresql://u:p@10.0.0.1/d", "postgresql+psycopg://…@10.0.0.1/other"),
        ("postgresql://u:p@10.0.0.1/d", "postgresql+psycopg://…@10.0.0.2/d"),
        ("postgresql://u:p@10.0.0.1/d", "postgresql+psycopg://…@10.0.0.1:5433/d"),
        ("postgresql://u:p@10.0.0.1/d", "mysql+pymysql://…@10.0.0.1/d"),
        ("postgresql://u:p@10.0.0.1/d", "postgresql+psycopg://…@10.0.0.1:port/d"),
        ("postgresql://u:p@10.0.0.1/d", f"sqlite:///{TARGET}"),
        ("postgresql://u:p@10.0.0.1/d", ""),
    ],
)
def test_another_database_is_refused(old: str, new: str) -> None:
    problem = adopted_database.problem(old, "", new, TARGET)
    assert "set mlflow_server_backend_store_uri to postgresql+psycopg://…@10.0.0.1/d" in str(problem)
    assert "u:p" not in str(problem)


def test_a_file_is_copied_where_the_new_server_looks() -> None:
    old = "sqlite:////home/alice/mlflow.db"
    assert adopted_database.problem(old, "/home/alice/mlflow.db", "", TARGET) is None
    assert adopted_database.problem(old, "/home/alice/mlflow.db", f"sqlite:///{TARGET}", TARGET) is None
    for other in ("sqlite:////srv/m.db", "postgresql+psycopg://…@h/d"):
        problem = adopted_database.problem(old, "/home/alice/mlflow.db", other, TARGET)
        assert "where the new server would not look" in str(problem)
