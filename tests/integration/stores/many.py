"""Ask several stores, each in a process of its own that has MLflow from the start: loading it takes seconds.

Runs under the Python of a release: ``many.py PROGRAM``, the program that asks, with a JSON list of questions on standard
input; prints the answers, each in a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
import warnings
from importlib import import_module
from typing import Any


def answer(question: dict[str, Any], program: str) -> None:
    """Print one answer, with the environment that belongs to it."""
    os.environ.clear()
    os.environ.update(question.pop("environment"))
    prove = runpy.run_path(program)["prove"]
    with contextlib.redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")
        told = prove(question)
    print(json.dumps(told), flush=True)


# For the children.
import_module("mlflow.store.artifact.artifact_repository_registry")
for question in json.load(sys.stdin):
    child = os.fork()
    if not child:
        answer(question, sys.argv[1])
        os._exit(0)
    os.waitpid(child, 0)
