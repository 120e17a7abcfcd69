# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs a file or a directory of files as a user does, or fetches it again, and prints what that took as JSON.

``throughput_client.py log LOCATION SOURCE`` and ``throughput_client.py fetch RUN SOURCE TARGET``.  Runs with a
release's own Python; what comes before the clock is not counted: Python's start, imports, making the run.
"""

from __future__ import annotations

import filecmp
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KB = 1024 / 1e6  # of getrusage(2), to MB of 10^6 bytes


def measured(work: Callable[[], object]) -> dict[str, Any]:
    """Do it, and return seconds, seconds of CPU, and the most memory ever held with what was held before."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    work()
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": took, "cpu": cpu, "peak_mb": after.ru_maxrss * _KB, "rest_mb": before.ru_maxrss * _KB}


def differences(one: Path, other: Path) -> list[str]:
    """Return what of a file or directory isn't the same in another one."""
    if one.is_file():
        return [] if filecmp.cmp(one, other, shallow=False) else [one.name]
    names = [str(path.relative_to(one)) for path in one.rglob("*") if path.is_file()]
    _same, differing, missing = filecmp.cmpfiles(one, other, names, shallow=False)
    return [*differing, *missing]


def main(way: str, about: str, source: Path, target: Path | None = None) -> dict[str, Any]:
    """Do one of both."""
    # Of the release, and not of these tools.
    mlflow: Any = importlib.import_module("mlflow")
    client = mlflow.MlflowClient()
    if target is None:
        experiment = client.create_experiment(f"{way}-{time.time_ns()}", artifact_location=about or None)
        run = client.create_run(experiment).info.run_id
        log = client.log_artifact if source.is_file() else client.log_artifacts
        return {"run": run, **measured(lambda: log(run, str(source), "logged"))}
    path = f"logged/{source.name}" if source.is_file() else "logged"
    came: list[str] = []
    found = measured(
        lambda: came.append(mlflow.artifacts.download_artifacts(run_id=about, artifact_path=path, dst_path=str(target)))
    )
    copy = Path(came[0]).resolve()
    if target.resolve() not in copy.parents:
        raise ValueError(f"{copy} is no copy")
    wrong = differences(source, copy)
    if wrong:
        raise ValueError(f"{len(wrong)} files came back otherwise, such as {wrong[0]}")
    return found


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(json.dumps(main(arguments[0], arguments[1], *map(Path, arguments[2:4]))))
