# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check has found: its class, how bad it is, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR = "error"
WARNING = "warning"
INFO = "info"


@dataclass(frozen=True)
class Finding:
    """One thing found, in a form that JSON can carry.

    ``name`` is the class, one of the words that docs/why-did-my-artifacts-vanish.md explains; ``severity`` is
    ERROR (artifacts are or will be lost or unreadable), WARNING or INFO.  ``message`` says what was
    found and what it leads to, ``remedy`` what to do, with commands between backquotes and the host
    they are for before them.  ``evidence`` is what the judgement was made from, without secrets.
    """

    name: str
    severity: str
    message: str
    remedy: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self, **extra: Any) -> dict[str, Any]:
        """Return the form that modules return: ``name`` becomes ``class``; ``extra`` such as user is added."""
        return {
            "class": self.name,
            "severity": self.severity,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": dict(self.evidence),
            **extra,
        }


def failed(findings: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any finding, as a module returns it, is an error."""
    return any(finding["severity"] == ERROR for finding in findings)
