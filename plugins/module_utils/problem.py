# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight refuses with: what was found, why it is wrong, what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One reason not to start.

    ``found`` names the input and its value or the state of the host, ``why``
    says what would go wrong, ``instead`` says what to write or do.  All three
    are sentences' parts without a final full stop.
    """

    found: str
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.found}.\n    why: {self.why}.\n    instead: {self.instead}."


def render(problems: Iterable[Problem], when: str = "before anything was changed") -> str:
    """Return all problems as one text for a person to read; ``when`` says how far things had come.

    An engineer who mends one input at a time pays a run for each, so every
    problem is shown at once.
    """
    listed = list(problems)
    noun = "problem" if len(listed) == 1 else "problems"
    lines = [f"{len(listed)} {noun} found {when}:"]
    lines += [f"{number}. found: {problem}" for number, problem in enumerate(listed, start=1)]
    return "\n".join(lines)
