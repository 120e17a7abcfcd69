from __future__ import annotations

import json

import pytest

from bench.numbers import Measure
from bench.report import Run, record, table

RUN = Run(date="2026-11-21", cores=2, versions={"MLflow": "3.17.2", "Debian": "12.15"})
REACHED = Measure(
    name="no_change", what="a run without changes", unit="s", ours="site.yml", theirs="facts",
    pairs=((30.0, 10.0), (32.0, 8.0), (31.0, 10.0)), goal=5.0, details={"server": "29 tasks", "MB": 1234.56},
)  # fmt: skip
MISSED = Measure(
    name="memory", what="memory", unit="MB", ours="our unit", theirs="naive", pairs=((600.0, 2000.0),), goal=0.25
)
FREE = Measure(name="start", what="start", unit="s", ours="our unit", theirs="naive", pairs=((8.0, 16.0),))


def test_the_record_holds_all_that_the_figures_rest_on() -> None:
    assert json.loads(record(RUN, [REACHED])) == {
        "schema": 1,
        "date": "2026-11-21",
        "cores": 2,
        "versions": {"MLflow": "3.17.2", "Debian": "12.15"},
        "measures": {
            "no_change": {
                "what": "a run without changes",
                "unit": "s",
                "ours": {"what": "site.yml", "median": 31.0, "least": 30.0, "most": 32.0, "count": 3},
                "theirs": {"what": "facts", "median": 10.0, "least": 8.0, "most": 10.0, "count": 3},
                "ratios": [3.0, 4.0, 3.1],
                "ratio": 3.1,
                "goal": 5.0,
                "verdict": "met",
                "details": {"server": "29 tasks", "MB": 1234.56},
            }
        },
    }


@pytest.mark.parametrize(
    ("measure", "row"),
    [
        (REACHED, "| a run without changes | 31 s (site.yml) | 10 s (facts) | 3 | 3.1 (3, 4, 3.1) | ≤ 5 | met |"),
        (MISSED, "| memory | 600 MB (our unit) | 2000 MB (naive) | 1 | 0.3 (0.3) | ≤ 0.25 | **missed** |"),
        (FREE, "| start | 8 s (our unit) | 16 s (naive) | 1 | 0.5 (0.5) |  | no goal |"),
    ],
)
def test_a_measure_is_one_row_that_shows_a_missed_goal(measure: Measure, row: str) -> None:
    assert row in table(RUN, [measure]).splitlines()


def test_details_stand_below_the_table() -> None:
    text = table(RUN, [REACHED, FREE])
    assert text.endswith("\n## No change\n\n- server: 29 tasks\n- MB: 1235\n")
    assert "MLflow 3.17.2, Debian 12.15" in text
