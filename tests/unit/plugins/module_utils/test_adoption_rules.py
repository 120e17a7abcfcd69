"""What keeps a hand-made server from being taken over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adoption_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption_rules import Evidence, Wish
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Deployment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

FOUND = Deployment(
    pid=7,
    uid=1000,
    unit="mlflow.service",
    version="3.1.4",
    database="sqlite:////home/ann/mlflow.db",
    database_file="/home/ann/mlflow.db",
    artifact_access="direct",
    artifact_directory="/home/ann/artifacts",
)
WISH = Wish("3.17.2", "mlflow", "/var/lib/mlflow/backend/mlflow.db")
SEEN = Evidence(has_database_file=True)
FULL = Problem("/home/ann/mlflow.db has 9 bytes", "it is copied", "make room")
DROP_IN = "/etc/systemd/system/mlflow.service.d/limits.conf"


def test_one_that_can_be_taken_over() -> None:
    assert adoption_rules.judge(FOUND, WISH, SEEN) == []


@pytest.mark.parametrize(
    ("found", "wish", "seen", "said", "instead"),
    [
        (replace(FOUND, version="3.18.0"), WISH, SEEN, "MLflow 3.18.0", "set mlflow_version to 3.18.0"),
        (FOUND, WISH, replace(SEEN, has_database_file=False), "no file /home/ann/mlflow.db", "mlflow_adopt_database"),
        (FOUND, WISH, replace(SEEN, room=FULL), "has 9 bytes", "make room"),
        (
            FOUND,
            WISH,
            replace(SEEN, unreadable="/home/ann/artifacts/1"),
            "nor mlflow may read /home/ann/artifacts/1",
            "setfacl",
        ),
        (FOUND, WISH, replace(SEEN, drop_ins=[DROP_IN]), DROP_IN, "move the files away"),
        (FOUND, replace(WISH, backend_store_uri="postgresql://db/mlflow"), SEEN, "postgresql", ""),
    ],
)
def test_what_is_refused(found: Deployment, wish: Wish, seen: Evidence, said: str, instead: str) -> None:
    (problem,) = adoption_rules.judge(found, wish, seen)

    assert said in problem.found
    assert instead in problem.instead


@pytest.mark.parametrize("version", ["3.17.2", "3.9.0", ""])
def test_the_same_release_an_older_one_and_one_that_is_not_known(version: str) -> None:
    assert adoption_rules.judge(replace(FOUND, version=version), WISH, SEEN) == []


def test_drop_ins_of_a_unit_of_another_name_stay_where_they_are() -> None:
    assert adoption_rules.judge(replace(FOUND, unit="tracking.service"), WISH, replace(SEEN, drop_ins=[DROP_IN])) == []


@pytest.mark.parametrize(
    ("servers", "user", "said"),
    [
        ({}, "", "no MLflow server runs on this host"),
        ({}, "ann", "no MLflow server of ann runs on this host"),
        ({7: 1000, 8: 1001}, "", "several MLflow servers run on this host: 7 of uid 1000, 8 of uid 1001"),
    ],
)
def test_which_one_is_meant(servers: dict[int, int], user: str, said: str) -> None:
    assert adoption_rules.not_one(servers, user).found == said


def test_the_old_server_that_runs_again() -> None:
    running = {7: "/home/ann/mlflow.db", 8: "/home/bob/mlflow.db", 9: ""}
    (problem,) = adoption_rules.runs_again("/home/ann/mlflow.db", running, "/copy", "/record")

    assert problem.found.startswith("process 7 serves /home/ann/mlflow.db again")
    assert "rename /copy and /record" in problem.instead


def test_a_database_that_is_no_file_runs_nowhere_again() -> None:
    assert adoption_rules.runs_again("", {9: ""}, "/copy", "/record") == []
