# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How backups do, in Prometheus' text format."""

from __future__ import annotations

import calendar
import time
from collections.abc import Sequence
from pathlib import Path

from mlflow_backup import shelf

FILE = "mlflow_backup.prom"


def _gauge(name: str, meaning: str, samples: dict[str, float]) -> str:
    """Return a gauge with its samples, each by its labels."""
    lines = "".join(f"{name}{labels} {value:.15g}\n" for labels, value in samples.items())
    return f"# HELP {name} {meaning}\n# TYPE {name} gauge\n{lines}"


def render(backups: Sequence[Path], success: bool, seconds: float) -> str:
    """Return the last run's end and duration, and what the newest of the good backups has.

    Source: https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    text = _gauge(
        "mlflow_backup_last_run_success", "Whether the last backup was made and verified.", {"": int(success)}
    ) + _gauge("mlflow_backup_last_run_duration_seconds", "How long the last backup took.", {"": round(seconds, 1)})
    if not backups:
        return text
    record = shelf.read_record(backups[0])
    created = calendar.timegm(time.strptime(record["created"], "%Y-%m-%dT%H:%M:%SZ"))
    counts, artifacts = record["stores"]["tracking"]["counts"], record["artifacts"]
    sizes = {
        '{part="databases"}': sum(store["bytes"] for store in record["stores"].values()),
        '{part="artifacts"}': artifacts["bytes"],
    }
    items = {
        '{kind="experiments"}': counts.get("experiments", 0),
        '{kind="runs"}': counts.get("runs", 0),
        '{kind="artifact_files"}': artifacts["files"],
    }
    return (
        text
        + _gauge("mlflow_backup_last_success_timestamp_seconds", "Of when the newest good backup is.", {"": created})
        + _gauge("mlflow_backup_size_bytes", "Size of what is in the newest good backup.", sizes)
        + _gauge("mlflow_backup_items", "Number of things in the newest good backup.", items)
        + _gauge("mlflow_backups", "Number of good backups that are kept.", {"": len(backups)})
    )
