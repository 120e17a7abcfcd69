# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a run: as JSON for machines, as tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.numbers import MISSED, Measure

SCHEMA = 1
SIGNIFICANT = 3


@dataclass(frozen=True)
class Run:
    """When and with what it was measured; nothing here tells which machine it was.

    :ivar date: ISO 8601.
    :ivar cores: processors of the machine that all hosts and Ansible shared.
    :ivar versions: program -> version.
    """

    date: str
    cores: int
    versions: Mapping[str, str]


def record(run: Run, measures: Sequence[Measure]) -> str:
    """Return the run as JSON."""
    content = {
        "schema": SCHEMA,
        **asdict(run),
        "measures": {measure.name: _measure(measure) for measure in measures},
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _measure(measure: Measure) -> dict[str, object]:
    ours, theirs = measure.summaries
    return {
        "what": measure.what,
        "unit": measure.unit,
        "ours": {"what": measure.ours, **asdict(ours)},
        "theirs": {"what": measure.theirs, **asdict(theirs)},
        "ratios": list(measure.ratios),
        "ratio": measure.ratio,
        "goal": measure.goal,
        "verdict": measure.verdict,
        "details": dict(measure.details),
    }


def _number(value: float) -> str:
    """Return a figure in three significant digits, or in all that stand before the point."""
    return f"{value:.0f}" if len(str(int(abs(value)))) >= SIGNIFICANT else f"{value:.{SIGNIFICANT}g}"


def table(run: Run, measures: Sequence[Measure]) -> str:
    """Return the run as Markdown."""
    versions = ", ".join(f"{program} {version}" for program, version in run.versions.items())
    lines = [
        "# Benchmark results",
        "",
        "Written by `make bench`; [README.md](README.md) says what is measured, and how.",
        "",
        f"Measured on {run.date} with {run.cores} cores for all hosts together: {versions}.",
        "Medians, with the number of pairs; the ratio is the median of the pairs' ratios, and less is better.",
        "",
        "| measured | ours | alternative | pairs | ratio | goal | |",
        "|---|---|---|---|---|---|---|",
    ]
    for measure in measures:
        ours, theirs = measure.summaries
        goal = "" if measure.goal is None else f"≤ {_number(measure.goal)}"
        verdict = f"**{measure.verdict}**" if measure.verdict == MISSED else measure.verdict
        cells = (
            measure.what,
            f"{_number(ours.median)} {measure.unit} ({measure.ours})",
            f"{_number(theirs.median)} {measure.unit} ({measure.theirs})",
            str(ours.count),
            f"{_number(measure.ratio)} ({', '.join(map(_number, measure.ratios))})",
            goal,
            verdict,
        )
        lines.append(f"| {' | '.join(cells)} |")
    for measure in measures:
        if measure.details:
            lines += ["", f"## {measure.name.replace('_', ' ').capitalize()}", ""]
            lines += [
                f"- {name}: {value if isinstance(value, str) else _number(value)}"
                for name, value in measure.details.items()
            ]
    return "\n".join(lines) + "\n"
