"""What a database says of itself is enough for the servers, or the sum is shown; tests/integration asks real ones."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_probe import Demand, judge, parse, problems

ANSWER = {
    "where": "database mlflow of postgresql at db, as mlflow",
    "max_connections": 100,
    "reserved": 3,
    "user_limit": -1,
    "database_limit": -1,
    "may_create": True,
}


def demand(*, jobs: bool = False, **changes: int) -> Demand:
    return Demand(**{"workers": 1, "pool_size": 5, "pool_overflow": 10, "servers": 1, **changes}, jobs=jobs)


@pytest.mark.parametrize(
    ("answer", "stores", "wanted", "text"),
    [
        ({}, 2, demand(), ""),
        ({}, 2, demand(workers=3), ""),
        ({}, 2, demand(workers=4), "97 connections by max_connections (3 of 100 are kept"),
        ({}, 2, demand(workers=4), "MLflow may open 120: 2 stores, 1 server x 4 workers, each pool 5 + 10"),
        ({}, 2, demand(servers=4), "4 servers x 1 workers"),
        ({}, 2, demand(workers=4), "raise it to 123 or more"),
        ({}, 1, demand(workers=4), ""),
        ({"max_connections": 33}, 2, demand(), ""),
        ({"max_connections": 32}, 2, demand(), "29 connections by max_connections"),
        ({"user_limit": 29}, 2, demand(), "29 connections by the user's own limit"),
        ({"user_limit": 0}, 2, demand(), "0 connections by the user's own limit"),
        ({"database_limit": 10}, 2, demand(), "10 connections by the database's own limit"),
        ({"max_connections": 81}, 2, demand(jobs=True), ""),
        ({"max_connections": 80}, 2, demand(jobs=True), "and 48 of each server's jobs"),
        ({}, 2, demand(servers=2, jobs=True), "raise it to 159 or more"),
        ({"may_create": False}, 2, demand(), "may not create tables"),
    ],
)
def test_sum(answer: dict[str, Any], stores: int, wanted: Demand, text: str) -> None:
    found = [str(problem) for problem in problems({**ANSWER, **answer}, stores, wanted)]
    assert len(found) == bool(text)
    assert text in "".join(found)


def test_stores_of_two_databases_are_counted_apart() -> None:
    answers = {"a": {**ANSWER, "max_connections": 18}, "b": {**ANSWER, "max_connections": 17}}
    (problem,) = judge(["a", "b"], answers, demand())
    assert "lets in 14 connections" in problem.found


def test_jobs_are_in_the_first() -> None:
    answers = {"runs": {**ANSWER, "max_connections": 66}, "accounts": {**ANSWER, "max_connections": 18}}
    assert judge(["runs", "accounts"], answers, demand(jobs=True)) == []
    answers["runs"]["max_connections"] = 65
    (problem,) = judge(["runs", "accounts"], answers, demand(jobs=True))
    assert "MLflow may open 63" in problem.found


def test_what_can_not_be_asked_for_limits_is_no_problem() -> None:
    assert list(problems({"where": "mssql", "engine": "mssql"}, 2, demand())) == []


@pytest.mark.parametrize("out", ["", "{}", "no"])
def test_no_answer(out: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(out)
