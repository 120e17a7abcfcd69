"""Each way to be wrong is told apart from the others, and what is mended as the check says is proved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab import path_cases
from lab.path_cases import Case

Reports = Mapping[str, Mapping[str, Any]]

CASES = path_cases.load(Path(__file__).parents[1] / "vars/cases.yml")
MENDED = [case for case in CASES if case.mend is not None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_told_apart(case: Case, broken: Reports) -> None:
    report = broken[case.deployment.name]

    assert path_cases.found(case, report) == case.expected(mended=False)


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case.name)
def test_what_was_mended_is_proved(case: Case, mended: tuple[str, Reports]) -> None:
    said, reports = mended

    assert f"case {case.name}: failed" not in said
    assert path_cases.found(case, reports[case.deployment.name]) == case.expected(mended=True)
