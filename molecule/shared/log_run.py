"""Log one run as a user would, and print what was logged as one line of JSON.

Runs on a client, under the Python that has MLflow: ``log_run.py EXPERIMENT MEGABYTES``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow

PARAMS = {"learning_rate": "0.01", "optimizer": "adam"}
LOSSES = (0.9, 0.5, 0.25)


def make_files(directory: Path, megabytes: int) -> dict[str, str]:
    """Write a nested directory and return the sha256 of each file by its relative path."""
    contents = {
        "model/weights.bin": os.urandom(megabytes * 1024 * 1024),
        "model/config/layers.json": json.dumps({"layers": [64, 64, 10]}).encode(),
        "plots/loss by epoch.csv": "".join(f"{step},{loss}\n" for step, loss in enumerate(LOSSES)).encode(),
        "empty.txt": b"",
    }
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def main(experiment: str, megabytes: str) -> None:
    """Log the run into an experiment, which is created when it doesn't exist."""
    mlflow.set_experiment(experiment)
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run() as run:
        files = make_files(Path(scratch), int(megabytes))
        mlflow.log_params(PARAMS)
        for step, loss in enumerate(LOSSES):
            mlflow.log_metric("loss", loss, step=step)
        mlflow.log_artifacts(scratch, "result")
    logged = {
        "run_id": run.info.run_id,
        "artifact_uri": run.info.artifact_uri,
        "params": PARAMS,
        "metrics": {"loss": LOSSES[-1]},
        "files": {f"result/{name}": digest for name, digest in files.items()},
    }
    print(json.dumps(logged))


if __name__ == "__main__":
    main(*sys.argv[1:])
