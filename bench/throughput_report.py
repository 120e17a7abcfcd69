# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was taken by each way to a store, as rows of a table and as the record's Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.processes import Took
from bench.report import Run


@dataclass(frozen=True)
class Sample:
    """What was taken once; of the client memory beyond what it held before."""

    seconds: float
    client: Took
    server: Took
    store: Took | None


@dataclass(frozen=True)
class Row:
    """One way's samples of one thing done; ``base`` are those of the first way, in the same rounds."""

    what: str
    way: str
    samples: tuple[Sample, ...]
    base: tuple[Sample, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times the first way's seconds it took, round by round."""
        return tuple(
            round(ours.seconds / theirs.seconds, 2) for ours, theirs in zip(self.samples, self.base, strict=True)
        )


def rows(samples: Mapping[tuple[str, str], Sequence[Sample]], names: Sequence[str]) -> list[Row]:
    """Return what there is of each thing done, the ways in their order, in the rounds that the first way has, too."""
    found = []
    for what in dict.fromkeys(what for what, _name in samples):
        base = samples.get((what, names[0]), ())
        for name in names:
            taken = samples.get((what, name), ())
            both = min(len(taken), len(base))
            if both:
                found.append(Row(what, name, tuple(taken[:both]), tuple(base[:both])))
    return found


def _cell(figures: Sequence[Took]) -> str:
    if not figures:
        return "none"
    return f"{statistics.median(one.cpu for one in figures):.1f} / {max(one.peak_mb for one in figures):.0f}"


def table(found: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| done | way | rounds | seconds | ratio to direct | client, CPU s / MB | server | S3 server |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        each = f" ({', '.join(f'{one:.2f}' for one in row.ratios)})" if len(row.ratios) > 1 else ""
        cells = (
            row.what,
            row.way,
            str(len(row.samples)),
            f"{statistics.median(one.seconds for one in row.samples):.1f}",
            f"{statistics.median(row.ratios):.2f}{each}",
            _cell([one.client for one in row.samples]),
            _cell([one.server for one in row.samples]),
            _cell([one.store for one in row.samples if one.store]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(run: Run, found: Sequence[Row], where: str) -> str:
    """Return the whole record as Markdown."""
    versions = ", ".join(f"{program} {version}" for program, version in run.versions.items())
    cores = f"{run.cores} core{'s' if run.cores > 1 else ''}"
    return (
        f"# Ways to a store, {where}\n\n"
        "Written by `make bench-stores`; [README.md](README.md) says what is measured, and how.\n\n"
        f"Measured on {run.date}, with {cores} where client and server are: {versions}.\n"
        "Medians of seconds, ratios (round by round in brackets) and seconds of CPU, and the most memory (RSS) at any time:\n"
        "of the client what came on top of Python and its imports, of the servers all they held.\n\n" + table(found)
    )
