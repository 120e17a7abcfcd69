# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark found, as numbers: paired samples, their ratio, and whether a goal was met."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MET, MISSED, NO_GOAL = "met", "missed", "no goal"


@dataclass(frozen=True)
class Summary:
    """Some samples in four numbers."""

    median: float
    least: float
    most: float
    count: int


def summarize(samples: Sequence[float]) -> Summary:
    """Return the median and the range of the samples, to three digits.

    :raises ValueError: there are none.
    """
    if not samples:
        raise ValueError("no samples to summarize")
    middle, least, most = (round(float(value), 3) for value in (statistics.median(samples), min(samples), max(samples)))
    return Summary(median=middle, least=least, most=most, count=len(samples))


@dataclass(frozen=True)
class Measure:
    """One comparison of ours with an alternative, both measured in pairs on the same host.

    :ivar name: how the results file calls it.
    :ivar what: what is measured, for people.
    :ivar unit: of the samples, such as ``s`` or ``MB``.
    :ivar ours: what ours is, for people; likewise ``theirs``.
    :ivar pairs: (ours, theirs) for each repetition; less is better.
    :ivar goal: the ratio ours/theirs not to exceed; None when there is none.
    :ivar details: what explains the figures: name -> number or words.
    """

    name: str
    what: str
    unit: str
    ours: str
    theirs: str
    pairs: tuple[tuple[float, float], ...]
    goal: float | None = None
    details: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[float, ...]:
        """Ours divided by theirs, pair by pair."""
        return tuple(round(ours / theirs, 3) for ours, theirs in self.pairs)

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return summarize(self.ratios).median

    @property
    def verdict(self) -> str:
        """Whether the goal was met."""
        if self.goal is None:
            return NO_GOAL
        return MET if self.ratio <= self.goal else MISSED

    @property
    def summaries(self) -> tuple[Summary, Summary]:
        """Ours and theirs."""
        ours, theirs = zip(*self.pairs, strict=True)
        return summarize(ours), summarize(theirs)
