"""Log one of everything that MLflow stores a location for, as a user would, and print the run and its files as JSON.

Runs under the Python of a release: ``log_everything.py``, with MLFLOW_TRACKING_URI set.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient

MAJOR = int(mlflow.__version__.partition(".")[0])
FILES = {f"files/f{number} ä.bin": os.urandom(1000 + number) for number in range(3)}


class Echo(mlflow.pyfunc.PythonModel):
    """The least of models."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


def add_one(number: int) -> int:
    """Do what a trace is left of; its spans may be an artifact."""
    return number + 1


traced = mlflow.trace(add_one)


def log_run() -> str:
    """Log a run with files, a table, a data set and a model that is registered."""
    with mlflow.start_run(run_name="with a model") as run:
        mlflow.log_param("p", "1")
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in FILES.items():
                path = Path(scratch, name)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            mlflow.log_artifacts(scratch)
        mlflow.log_table({"a": [1, 2]}, "table.json")
        mlflow.log_input(mlflow.data.from_pandas(pd.DataFrame({"x": [1, 2]}), name="set"), context="training")
        named = {"name": "model"} if MAJOR >= 3 else {"artifact_path": "model"}
        mlflow.pyfunc.log_model(python_model=Echo(), registered_model_name="echo", pip_requirements=[], **named)
        traced(1)
    return str(run.info.run_id)


def log_genai(client: MlflowClient) -> None:
    """Log what releases from 3 on have besides."""
    mlflow.create_external_model(name="external")
    mlflow.initialize_logged_model(name="pending")
    mlflow.genai.register_prompt(name="greet", template="Hello {{x}}")
    if hasattr(mlflow.genai, "make_judge"):
        mlflow.genai.make_judge(name="j", instructions="is {{ outputs }} good?", model="openai:/gpt-4").register()
        (trace, *_others) = mlflow.search_traces(return_type="list")
        mlflow.log_feedback(trace_id=trace.info.trace_id, name="good", value=True)


def main() -> None:
    """Log, and print what is to be found again."""
    client = MlflowClient()
    mlflow.set_experiment("ordinary")
    run_id = log_run()
    uri = client.get_run(run_id).info.artifact_uri
    client.create_model_version("echo", source=f"{uri}/model" if MAJOR < 3 else f"runs:/{run_id}/model", run_id=run_id)
    traced(2)
    if hasattr(mlflow, "flush_trace_async_logging") and MAJOR >= 3:
        mlflow.flush_trace_async_logging()
    if MAJOR >= 3:
        log_genai(client)
    client.delete_experiment(client.create_experiment("deleted"))
    gone = client.create_run(client.create_experiment("deleted run"))
    client.log_text(gone.info.run_id, "x", "x.txt")
    client.set_terminated(gone.info.run_id)
    client.delete_run(gone.info.run_id)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    print(json.dumps({"run_id": run_id, "deleted_run_id": gone.info.run_id, "files": files}))


if __name__ == "__main__":
    main()
