# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a check run predicted with what the real run then changed.

The callback plugin ``record`` writes one file per run of a scenario's converge playbook; this reads them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.base import LabError

CHECK_SUFFIX = "-check.json"


@dataclass(frozen=True)
class Entry:
    """The result of one task on one host."""

    host: str
    role: str
    task: str
    changed: bool
    handler: bool = False

    def __str__(self) -> str:
        kind = "handler" if self.handler else "task"
        name = self.task if not self.role or self.role in self.task else f"{self.role} : {self.task}"
        return f"{self.host}: {kind} {name!r}"


def parse(text: str) -> tuple[Entry, ...]:
    """Read one recorded run.

    :raises ValueError: the text is no recording.
    """
    try:
        return tuple(Entry(**item) for item in json.loads(text))
    except TypeError as error:
        raise ValueError(f"not a recording: {error}") from error


def compare(check: Iterable[Entry], converge: Iterable[Entry]) -> list[str]:
    """Say where a prediction and what followed differ; empty when the check run told the truth.

    Tasks of the same name count: one predicted change does not stand for two. Two may stand for one where the task ran
    twice in both: a check run leaves the host as it was, and so predicts the change again.
    """
    converged = list(converge)
    ran = Counter(str(entry) for entry in converged)
    predicted = Counter(str(entry) for entry in check if entry.changed)
    happened = Counter(str(entry) for entry in converged if entry.changed)
    wrong = [
        f"{text}: predicted to change, didn't"
        for text in (predicted - happened).elements()
        if text not in happened or predicted[text] > ran[text]
    ]
    return wrong + [f"{text}: changed, not predicted" for text in (happened - predicted).elements()]


def read(directory: Path) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Return the last check run and the converge run that followed it.

    :param directory: what LAB_RECORD_DIR named while they ran.
    :raises LabError: either is missing.
    """
    names = sorted(path.name for path in directory.glob("*.json"))
    checks = [name for name in names if name.endswith(CHECK_SUFFIX)]
    runs = [name for name in names if checks and name > checks[-1] and not name.endswith(CHECK_SUFFIX)]
    if not runs:
        raise LabError(
            f"{directory} holds no check run followed by a converge run, only {', '.join(names) or 'nothing'}"
        )
    return parse((directory / checks[-1]).read_text()), parse((directory / runs[0]).read_text())


def told_wrongly(directory: Path, *known: str) -> list[str]:
    """Say where the last check run and the converge run after it differ.

    :param directory: what LAB_RECORD_DIR named while they ran.
    :param known: how differences end that are no lies, because another role or host was there first.
    :raises LabError: there are no two such runs, or the second changed nothing, and so proves nothing.
    """
    check, converge = read(directory)
    if not any(entry.changed for entry in converge):
        raise LabError(f"the converge run recorded in {directory} changed nothing")
    return [text for text in compare(check, converge) if not text.endswith(known)]
