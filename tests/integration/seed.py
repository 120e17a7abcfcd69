"""Fill a database by the MLflow release that runs this, or tell what it reads there.

``seed.py write URI RUNS ARTIFACTS`` or ``seed.py read URI``.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import mlflow
import sqlalchemy as sa
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient

#: More runs than these are copies of them.
LOGGED = 100
#: What belongs to a run, by its column run_uuid.
TABLES = ("runs", "metrics", "latest_metrics", "params", "tags")
EXPERIMENTS = 5
MODELS = 5
TRACES = 20
#: What a dump in text could take for its own syntax.
ODD = "INSERT INTO `x` VALUES ('(1');\n\\.\nCOMMIT; -- it's \\ \"é☃\t\r\n(("


def write(client: MlflowClient, runs: int, artifacts: str) -> None:
    """Log it all without a server, as the server itself would write it."""
    names = [f"{number} {ODD}" for number in range(EXPERIMENTS)]
    experiments = [client.create_experiment(name, artifact_location=f"{artifacts}/{name[0]}") for name in names]
    for number in range(runs):
        run = client.create_run(experiments[number % EXPERIMENTS], run_name=f"run {number}").info.run_id
        metrics = [Metric("loss", 1 / (step + 1), 1700000000000 + step, step) for step in range(5)]
        client.log_batch(run, metrics, [Param("rate", f"{number} {ODD}")], [RunTag("note", ODD * (number % 12 + 1))])
        client.set_terminated(run)
    for number in range(MODELS):
        client.create_registered_model(f"model {number}", description=ODD)
        client.create_model_version(f"model {number}", f"{artifacts}/model", run)
    for number in range(TRACES):
        trace = client.start_trace(f"trace {number}", inputs={"n": number}, experiment_id=experiments[0])
        client.end_trace(getattr(trace, "trace_id", "") or trace.request_id)


def multiply(uri: str, times: int) -> None:
    """Have every run so many times, with all that was logged to it."""
    engine, schema = sa.create_engine(uri), sa.MetaData()
    schema.reflect(engine, only=TABLES)
    with engine.begin() as connection:
        for table in (schema.tables[name] for name in TABLES):
            for copy in range(1, times):
                # 'g' is no hexadecimal digit: the ids stay different from those that are there.
                changed = {"run_uuid": sa.literal(f"g{copy:03}") + sa.func.substr(table.c.run_uuid, 5)}
                rows = sa.select(*(changed.get(column.name, column) for column in table.c))
                rows = rows.where(table.c.run_uuid.not_like("g%"))
                connection.execute(sa.insert(table).from_select([column.name for column in table.c], rows))
    engine.dispose()


def read(client: MlflowClient) -> dict[str, Any]:
    """Return what a user would see of it."""
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    runs = client.search_runs(experiments, run_view_type=ViewType.ALL, max_results=1000)
    return {
        "runs": {run.info.run_id: [run.info.status, run.data.params, run.data.tags, run.data.metrics] for run in runs},
        "versions": [[each.name, each.version, each.run_id, each.source] for each in client.search_model_versions()],
        "history": len(client.get_metric_history(runs[0].info.run_id, "loss")) if runs else 0,
        "traces": len(client.search_traces(experiments)),
    }


def main() -> None:
    """Do as told."""
    do, uri, *more = sys.argv[1:]
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    if do == "write":
        runs = int(more[0])
        write(client, min(runs, LOGGED), more[1])
        multiply(uri, runs // LOGGED)
    json.dump(read(client), sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
