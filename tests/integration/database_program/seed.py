"""Fill a database by the MLflow release that runs this, or tell what it reads: ``seed.py write|read URI``."""

from __future__ import annotations

import json
import sys
from typing import Any

from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

#: What a dump in text could take for its own syntax.
ODD = "INSERT INTO `x` VALUES ('(1');\n\\.\nCOMMIT; -- it's \\ \"é☃\t\r\n(("


def write(client: MlflowClient) -> None:
    experiment = client.create_experiment(f"odd {ODD}", artifact_location="/srv/mlflow/artifacts/1")
    client.create_registered_model("model", description=ODD)
    for number in range(12):
        run = client.create_run(experiment, run_name=f"run {number}").info.run_id
        metrics = [Metric(f"loss {key}", key / 3, 1_000 + key, step) for key in range(4) for step in range(25)]
        client.log_batch(run, metrics, [Param("text", ODD)], [RunTag("note", ODD * (number + 1))])
        client.set_terminated(run)
    client.create_model_version("model", "/srv/mlflow/artifacts/1/model", run_id=run)


def read(client: MlflowClient) -> dict[str, Any]:
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=1000)
    return {
        "runs": {run.info.run_id: [run.info.status, run.data.params, run.data.tags, run.data.metrics] for run in runs},
        "versions": [[each.version, each.run_id, each.source] for each in client.search_model_versions("name='model'")],
        "history": len(client.get_metric_history(runs[0].info.run_id, "loss 1")) if runs else 0,
    }


def main() -> None:
    # Only the address differs from a server's own client.
    client = MlflowClient(tracking_uri=sys.argv[2], registry_uri=sys.argv[2])
    if sys.argv[1] == "write":
        write(client)
    json.dump(read(client), sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
