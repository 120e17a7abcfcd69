"""Scenarios side by side: they wait more than they compute.

Each writes into a log of its own, for two at once can't be followed on one screen.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import yaml

from lab import processes
from tools import stage

LOGS = stage.REPOSITORY / ".cache/scenarios"
_MOLECULE = (sys.executable, "-m", "molecule")
#: In the environment of all that a scenario starts, so that it can be ended.
_MARK = "MLFLOW_TEST_SCENARIO"


def log_of(scenario: str) -> Path:
    """Return where a scenario's output goes when it is not shown at once."""
    return LOGS / f"{scenario}.log"


class Lanes:
    """Runs scenarios in their order, ``count`` at a time.

    A single one is watched while it runs: ``screen`` is the file descriptor that it writes to.  ``long`` has their tests
    run, too, that take long.
    """

    def __init__(self, scenarios: Sequence[str], count: int, screen: int, long: bool = False) -> None:
        self.watched = len(scenarios) == 1
        self._environment = {**os.environ, "MLFLOW_TEST_LONG": "yes" if long else ""}
        self._screen = screen
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(count)
        LOGS.mkdir(parents=True, exist_ok=True)
        self._codes: dict[str, Future[int]] = {name: self._pool.submit(self._run, name) for name in scenarios}

    def code(self, scenario: str) -> int:
        """Wait for a scenario's end and return its exit status."""
        return self._codes[scenario].result()

    def end(self) -> None:
        """Stop what still runs, and remove its hosts: a failure elsewhere has ended the whole."""
        self._ended.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        for name, process in list(self._processes.items()):
            if process.poll() is None:
                # Ansible's workers are in sessions of their own.
                processes.kill(partial(processes.told, f"{_MARK}={name}-{os.getpid()}"))
                process.wait()
                subprocess.run([*_MOLECULE, "destroy", "--scenario-name", name], check=False, cwd=stage.REPOSITORY)
        self._pool.shutdown()
        os.close(self._screen)

    def _run(self, name: str) -> int:
        directory = stage.REPOSITORY / "molecule"
        settings = yaml.safe_load((directory / name / "molecule.yml").read_text(encoding="utf-8"))
        # Molecule wraps what it prints at 80 columns where there is no terminal: names of tests would be in pieces.
        environment = self._environment if self.watched else {**self._environment, "COLUMNS": "200"}
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log_of(name).open("wb")) if not self.watched else self._screen
            if settings.get("driver", {}).get("name") == "docker":
                engine = [sys.executable, "-m", "lab", "docker-engine"]
                subprocess.run(engine, check=True, cwd=directory, stdout=output, stderr=subprocess.STDOUT)
            if self._ended.is_set():
                return 1
            # A session of its own: Ctrl-C is for pytest, which then ends it.
            self._processes[name] = subprocess.Popen(
                [*_MOLECULE, "test", "--scenario-name", name],
                cwd=stage.REPOSITORY,
                env={**environment, _MARK: f"{name}-{os.getpid()}"},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return self._processes[name].wait()
