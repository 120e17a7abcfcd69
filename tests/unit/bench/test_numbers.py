from __future__ import annotations

import pytest

from bench.numbers import MET, MISSED, NO_GOAL, Measure, Summary, summarize


def measure(pairs: list[tuple[float, float]], goal: float | None = None) -> Measure:
    return Measure(name="n", what="w", unit="s", ours="a", theirs="b", pairs=tuple(pairs), goal=goal)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([3], Summary(3, 3, 3, 1)),
        ([9, 1, 2], Summary(2, 1, 9, 3)),
        ([1, 2, 4, 100], Summary(3, 1, 100, 4)),
        ([1.23456, 1.23456], Summary(1.235, 1.235, 1.235, 2)),
    ],
)
def test_a_summary_is_the_median_and_the_range(samples: list[float], expected: Summary) -> None:
    assert summarize(samples) == expected


def test_nothing_cannot_be_summarized() -> None:
    with pytest.raises(ValueError, match="no samples"):
        summarize([])


def test_the_ratio_is_the_median_of_the_pairs_ratios_not_of_the_medians() -> None:
    found = measure([(10, 1), (20, 10), (30, 30)])
    assert found.ratios == (10, 2, 1)
    assert found.ratio == 2
    assert [summary.median for summary in found.summaries] == [20, 10]


@pytest.mark.parametrize(("goal", "verdict"), [(None, NO_GOAL), (1.5, MET), (1.501, MET), (1.499, MISSED)])
def test_a_goal_may_be_reached_but_not_exceeded(goal: float | None, verdict: str) -> None:
    assert measure([(3, 2)], goal).verdict == verdict
