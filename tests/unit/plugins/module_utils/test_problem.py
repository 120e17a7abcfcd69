from __future__ import annotations

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render

PORT = Problem("mlflow_server_port is 80", "the service user may not listen there", "write 1024 or more")
ROOT = Problem("mlflow_artifact_root is ~/a", "a unit knows no home", "write an absolute path")


def test_a_problem_says_what_why_and_what_instead() -> None:
    assert str(PORT) == (
        "mlflow_server_port is 80.\n    why: the service user may not listen there.\n    instead: write 1024 or more."
    )


def test_one_problem() -> None:
    assert render([PORT]) == f"1 problem found before anything was changed:\n1. found: {PORT}"


def test_all_problems_are_shown_in_their_order() -> None:
    assert render(iter([ROOT, PORT])) == (
        f"2 problems found before anything was changed:\n1. found: {ROOT}\n2. found: {PORT}"
    )
