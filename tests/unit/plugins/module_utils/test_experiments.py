"""Which steps lead to the experiments that are wished, and which wishes are refused; how the server is asked."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiments_plan import (
    Found,
    Step,
    Wished,
    conflicts,
    plan,
    shown,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiments_rules import judge
from ansible_collections.selfhosted.mlflow.plugins.modules import experiments
from tests.unit.plugins.fake_tracking import Answer, Asked, serve

TAGS = {"team": "risk", "theirs": "x", "mlflow.note.content": "note"}
PRESENT = {
    "churn": Found("3", "churn", "s3://b/churn/", tags=TAGS),
    "gone": Found("4", "gone", "mlflow-artifacts:/4", deleted=True, tags={"old": "x"}),
}


def steps(*wished: Wished) -> list[str]:
    return [f"{one.action} {one.name} {one.key}".strip() for one in plan(wished, PRESENT)]


@pytest.mark.parametrize(
    ("wished", "expected"),
    [
        (Wished("churn"), []),
        (Wished("churn", "s3://b/churn"), []),
        (Wished("churn", tags={"team": "risk"}), []),
        (Wished("churn", tags={"team": "fraud", "new": ""}), ["set_tag churn new", "set_tag churn team"]),
        (Wished("churn", tags={"team": "risk"}, purge_tags=True), ["delete_tag churn theirs"]),
        (Wished("churn", purge_tags=True), ["delete_tag churn team", "delete_tag churn theirs"]),
        (Wished("churn", restore=True), []),
        (Wished("churn", present=False), ["delete churn"]),
        (Wished("gone", restore=True, tags={"new": "y"}), ["restore gone", "set_tag gone new"]),
        (Wished("gone", present=False), []),
        (Wished("new", tags={"a": "b"}), ["create new"]),
        (Wished("new", present=False), []),
    ],
)
def test_steps(wished: Wished, expected: list[str]) -> None:
    assert steps(wished) == expected


def test_what_may_be_refused_comes_first() -> None:
    wished = (Wished("churn", tags={"new": "x"}), Wished("a"), Wished("b", "sftp://host/b"), Wished("c", "/srv/c"))

    assert steps(*wished) == ["create b", "create a", "create c", "set_tag churn new"]


@pytest.mark.parametrize(
    ("wished", "found", "instead"),
    [
        (
            Wished("churn", "s3://b/other"),
            "keeps its artifacts at s3://b/churn/, and not at s3://b/other",
            "move_artifacts",
        ),
        (Wished("gone"), "'gone' (4) was deleted", "restore: true"),
        (Wished("gone", "/srv/gone", restore=True), "keeps its artifacts at mlflow-artifacts:/4", "leave"),
    ],
)
def test_conflicts(wished: Wished, found: str, instead: str) -> None:
    (problem,) = conflicts([wished], PRESENT)

    assert found in problem.found
    assert instead in problem.instead


def test_a_database_that_takes_two_names_for_one() -> None:
    (problem,) = conflicts([Wished("Churn", "s3://b/other")], {"Churn": PRESENT["churn"]})

    assert "'Churn' is called 'churn' by the server" in problem.found
    assert conflicts([Wished("churn"), Wished("gone", present=False), Wished("new")], PRESENT) == []


def test_a_diff_shows_what_is_touched_and_nothing_else() -> None:
    wished = [
        Wished("churn", tags={"team": "fraud", "long": "x" * 200}, purge_tags=True),
        Wished("gone", restore=True),
        Wished("new", "s3://b/new", {"a": "two\nlines"}),
    ]
    before, after = shown(PRESENT, plan(wished, PRESENT))

    assert before == 'experiment churn: team = "risk"\nexperiment churn: theirs = "x"\nexperiment gone (deleted)\n'
    assert after == (
        f'experiment churn: long = "{"x" * 98}…\nexperiment churn: team = "fraud"\nexperiment gone\n'
        'experiment new at s3://b/new\nexperiment new: a = "two\\nlines"\n'
    )
    assert shown(PRESENT, [Step("delete", "churn", "3")]) == ("experiment churn\n", "experiment churn (deleted)\n")


@pytest.mark.parametrize(
    ("experiment", "found", "instead"),
    [
        ({"name": ""}, "the name ''", "in quotes"),
        ({"name": 7}, "the name 7", "in quotes"),
        ({"name": "churn "}, "the name 'churn '", "without blanks"),
        ({"name": "a\nb"}, "the name 'a\\nb'", "line breaks"),
        ({"name": "x" * 501}, "has 501 characters", "shorten"),
        ("churn", "an experiment is 'churn'", "write {name: churn}"),
        ({"name": "Default", "state": "absent"}, "'Default' is to be absent", "leave it"),
        ({"name": "a", "artifact_location": "rel"}, "artifact_location of the experiment 'a' is 'rel'", "write"),
        ({"name": "a", "tags": ["x"]}, "are ['x']", "a dictionary"),
        ({"name": "a", "tags": {"": "x"}}, "the tag ''", "mend"),
        ({"name": "a", "tags": {"a@b": "x"}}, "the tag 'a@b'", "mend"),
        ({"name": "a", "tags": {"a\n": "x"}}, "the tag 'a\\n'", "mend"),
        ({"name": "a", "tags": {"a//b": "x"}}, "the tag 'a//b'", "write a/b"),
        ({"name": "a", "tags": {"../b": "x"}}, "the tag '../b'", "write b"),
        ({"name": "a", "tags": {"/b": "x"}}, "the tag '/b'", "write b"),
        ({"name": "a", "tags": {".": "x"}}, "the tag '.'", "write a name"),
        ({"name": "a", "tags": {"k" * 251: "x"}}, "the tag 'kkk", "shorten"),
        ({"name": "a", "tags": {"n": 5}}, "the tag 'n' of the experiment 'a' is 5", "in quotes"),
        ({"name": "a", "tags": {"n": True}}, "the tag 'n' of the experiment 'a' is True", "in quotes"),
        ({"name": "a", "tags": {"n": None}}, "is None", "in quotes"),
        ({"name": "a", "tags": {"n": "x" * 20001}}, "has 20001 characters", "shorten"),
        ({"name": "a", "tags": {"n": "a\0b"}}, "has a character 0", "leave it out"),
    ],
)
def test_refuses(experiment: Any, found: str, instead: str) -> None:
    (problem,) = judge([experiment], ["/mnt/mlflow"])

    assert found in problem.found
    assert instead in problem.instead


@pytest.mark.parametrize(
    ("given", "shared", "found"),
    [
        ([{"name": "a"}, {"name": "a", "state": "absent"}], [], "'a' is there 2 times"),
        (
            [{"name": name, "artifact_location": "s3://b/x"} for name in ("a", "b")],
            [],
            "'a', 'b' have the same artifact_location 's3://b/x'",
        ),
        ([], ["mnt/mlflow"], "mlflow_experiments_shared_directories is 'mnt/mlflow'"),
    ],
)
def test_refuses_together(given: list[Any], shared: list[str], found: str) -> None:
    (problem,) = judge(given, shared)

    assert found in problem.found


def test_accepts() -> None:
    tags = {"team": "risk", "a b/c:d.e-f_ü": "", "mlflow.note.content": "Two\nlines."}
    wished = [
        {"name": "Default", "tags": tags},
        {"name": "churn", "artifact_location": "/mnt/mlflow/churn", "tags": {}},
        # What is to be absent may be left as it was written.
        {"name": "gone", "artifact_location": "relative", "state": "absent"},
    ]

    assert judge(wished, ["/mnt/mlflow"]) == []


def run(given: dict[str, Any]) -> dict[str, Any]:
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        with patch_module_args(given), pytest.raises(SystemExit):
            experiments.main()
        said: dict[str, Any] = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = kept
    return said


def test_a_page_that_is_not_the_servers_is_told() -> None:
    with serve(lambda asked: Answer(body={"user": "somebody"})) as fake:
        said = run({"tracking_uri": fake.url, "experiments": [{"name": "churn"}]})

    assert "answers something that is not MLflow's" in said["msg"]


def test_how_far_things_had_come_is_told() -> None:
    """By a server that fails in the middle, which a real one is hard to be made to."""
    made: list[str] = []

    def respond(asked: Asked) -> Answer:
        if asked.method == "GET":
            return Answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"})
        if made:
            return Answer(500, {"error_code": "INTERNAL_ERROR", "message": "disk is full"})
        made.append(asked.body["name"])
        return Answer(body={"experiment_id": "1"})

    with serve(respond) as fake:
        said = run({"tracking_uri": fake.url, "experiments": [{"name": "a"}, {"name": "b"}]})

    assert made == ["a"]
    assert "disk is full" in said["msg"]
    assert "so far: 1 of 2 changes were made; run it again" in said["msg"]
