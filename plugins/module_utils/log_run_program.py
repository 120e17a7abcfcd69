# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log a run with a nested artifact, as any program of a user does.

Runs by itself under a Python that has MLflow: ``python -I - JSON < this file``, where JSON has ``experiment``
(a name), ``path`` (the artifact's directory), ``name`` (its file) and ``size`` (in bytes).  Prints what it has
reached as lines of JSON, one by one, so that a reader knows how far it came.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from importlib import import_module
from typing import Any


def tell(**reached: Any) -> None:
    """Print what has been reached."""
    sys.stdout.write(json.dumps(reached) + "\n")
    sys.stdout.flush()


def main(argument: str) -> None:
    """Log one run into a new experiment; whatever goes wrong is left to the library to say."""
    wanted = json.loads(argument)
    # Not at the top: this file is imported where there is no MLflow, too.
    mlflow = import_module("mlflow")
    tell(version=mlflow.__version__)
    client = mlflow.MlflowClient()
    experiment_id = client.create_experiment(wanted["experiment"])
    tell(experiment_id=experiment_id)
    run = client.create_run(experiment_id)
    tell(run_id=run.info.run_id, artifact_uri=run.info.artifact_uri)
    content = os.urandom(wanted["size"])
    with tempfile.TemporaryDirectory() as scratch:
        directory = os.path.join(scratch, wanted["path"])
        os.makedirs(directory)
        with open(os.path.join(directory, wanted["name"]), "wb") as stream:
            stream.write(content)
        client.log_artifacts(run.info.run_id, scratch)
    client.set_terminated(run.info.run_id)
    tell(sha256=hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
