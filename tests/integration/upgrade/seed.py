"""Fill a new tracking database with what users have logged: runs with metrics, traces, registered models.

Run by the Python of an old release: ``seed.py RUNS ARTIFACTS``, with the address in
MLFLOW_BACKEND_STORE_URI.
"""

from __future__ import annotations

import os
import sys

import mlflow
from mlflow.entities import Metric, Param, RunTag

EXPERIMENTS = 5
TRACES = 20
MODELS = 5


def main(runs: int, artifacts: str) -> None:
    """Log it all without a server, as the server itself would write it."""
    mlflow.set_tracking_uri(os.environ["MLFLOW_BACKEND_STORE_URI"])
    client = mlflow.MlflowClient()
    names = [f"experiment {number}" for number in range(EXPERIMENTS)]
    experiments = [client.create_experiment(name, artifact_location=f"{artifacts}/{name}") for name in names]
    for number in range(runs):
        run = client.create_run(experiments[number % EXPERIMENTS], run_name=f"run {number}").info.run_id
        metrics = [Metric("loss", 1 / (step + 1), 1700000000000 + step, step) for step in range(5)]
        client.log_batch(run, metrics, [Param("rate", str(number))], [RunTag("owner", "älice")])
        client.set_terminated(run)
    for number in range(MODELS):
        client.create_registered_model(f"model {number}")
        client.create_model_version(f"model {number}", f"{artifacts}/model", run)
    for number in range(TRACES):
        trace = client.start_trace(f"trace {number}", inputs={"n": number}, experiment_id=experiments[0])
        client.end_trace(trace.request_id)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
