# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of playbooks/verify.yml wrote into its report, in short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def verdicts(report: Path) -> dict[str, str]:
    """Return ``USER on HOST`` -> verdict; the server's own row is left out."""
    return {f"{row['user']} on {row['host']}": row["verdict"] for row in _rows(report) if not row["server"]}


def classes(report: Path, severity: str) -> set[str]:
    """Return the classes of that severity, of clients and server."""
    return {finding["class"] for row in _rows(report) for finding in row["findings"] if finding["severity"] == severity}


def _rows(report: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(report.read_text())["rows"]
    return rows
