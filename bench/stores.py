# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bench.stores --python /opt/mlflow/current/bin/python``: what WAL and the size of a pool give.

Two servers of the same release run at once on this machine's loopback and are asked in turns, in changing order.
They differ in one setting.  Nothing but the server's own start and the databases' files is shared.
"""

from __future__ import annotations

import argparse
import datetime
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.numbers import Measure
from bench.report import Run, table
from lab import databases

JOURNAL = Path(__file__).resolve().parents[1] / "roles/mlflow_server/files/mlflow-journal-mode"
START_SECONDS = 240
CALL_SECONDS = 60
METRICS = 100


@dataclass(frozen=True)
class Effort:
    """How much is asked in each round: so many calls of each kind, by so many clients at once, so many rounds."""

    rounds: int = 5
    clients: int = 8
    runs: int = 96
    batches: int = 48


@dataclass(frozen=True)
class Side:
    """A running server; ``process`` is its number."""

    what: str
    port: int
    process: int = 0


def call(side: Side, path: str, given: Mapping[str, object]) -> dict[str, dict[str, dict[str, str]]]:
    """Ask the server's API.

    :raises RuntimeError: it does not answer with 200.
    """
    connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=CALL_SECONDS)
    try:
        body, headers = json.dumps(given), {"Content-Type": "application/json"}
        connection.request("POST", f"/api/2.0/mlflow/{path}", body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path}: {answer.status} {text[:300]!r}")
    found: dict[str, dict[str, dict[str, str]]] = json.loads(text)
    return found


def create_run(side: Side, _number: int) -> str:
    """Create a run and return its id."""
    return call(side, "runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]


def log_batch(side: Side, run_ids: Sequence[str], number: int) -> None:
    """Log a hundred metrics into one of the runs."""
    metrics = [{"key": f"m{each}", "value": each, "timestamp": 1, "step": number} for each in range(METRICS)]
    call(side, "runs/log-batch", {"run_id": run_ids[number % len(run_ids)], "metrics": metrics})


def timed(work: Callable[[int], object], times: int, clients: int) -> float:
    """Return the seconds that so many calls by so many clients at once take."""
    with ThreadPoolExecutor(clients) as pool:
        began = time.monotonic()
        list(pool.map(work, range(times)))
        return time.monotonic() - began


@contextmanager
def serving(python: Path, what: str, settings: Mapping[str, str]) -> Iterator[Side]:
    """Run an MLflow server of these settings until it isn't wanted any more."""
    side = Side(what, databases.free_port())
    with tempfile.TemporaryDirectory(prefix="selfhosted-mlflow-bench-") as directory, ExitStack() as stack:
        log = stack.enter_context((Path(directory) / "log").open("w+"))
        environment = {
            "PATH": f"{python.parent}:{os.defpath}",
            "HOME": directory,
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(side.port),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "MLFLOW_ARTIFACTS_DESTINATION": f"{directory}/artifacts",
            **settings,
        }
        process = subprocess.Popen(
            [str(python.with_name("mlflow")), "server"], env=environment, cwd=directory, stdout=log, stderr=log
        )
        stack.callback(process.wait, 60)
        stack.callback(process.terminate)
        side = replace(side, process=process.pid)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                call(side, "experiments/search", {"max_results": 1})
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{what} did not start: {error}\n{log.read()[-2000:]}") from error
                time.sleep(0.5)
            else:
                break
        yield side


def compare(sides: Sequence[Side], name: str, effort: Effort) -> list[Measure]:
    """Ask both in turns; return how long it took to create runs, and to log batches."""
    ours, theirs = sides
    created: list[tuple[float, float]] = []
    logged: list[tuple[float, float]] = []
    for number in range(effort.rounds):
        runs, batches = {}, {}
        for side in (theirs, ours) if number % 2 else (ours, theirs):
            ids = [create_run(side, each) for each in range(effort.clients)]
            runs[side] = timed(partial(create_run, side), effort.runs, effort.clients)
            batches[side] = timed(partial(log_batch, side, ids), effort.batches, effort.clients)
        created.append((runs[ours], runs[theirs]))
        logged.append((batches[ours], batches[theirs]))
    what = f"by {effort.clients} clients at once"
    return [
        Measure(f"{name}_create_run", f"create {effort.runs} runs {what}", "s", ours.what, theirs.what, tuple(created)),
        Measure(
            f"{name}_log_batch",
            f"log {effort.batches} batches of {METRICS} metrics {what}",
            "s",
            ours.what,
            theirs.what,
            tuple(logged),
        ),
    ]


def sqlite(python: Path, effort: Effort, directory: Path) -> list[Measure]:
    """Compare the journal modes, on a disk's file system."""
    with ExitStack() as stack:
        sides = []
        for mode in ("wal", "delete"):
            file = directory / f"{mode}.db"
            subprocess.run([str(python), "-I", str(JOURNAL), mode, str(file)], check=True)
            uri = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{file}"}
            sides.append(stack.enter_context(serving(python, f"SQLite, {mode}", uri)))
        return compare(sides, "sqlite", effort)


def postgresql(python: Path, effort: Effort, directory: Path) -> list[Measure]:
    """Compare a pool that keeps its connections with one that opens most of them when they are wanted."""
    public = databases.subdirectory(directory, "postgresql")
    certificates = databases.make_certificates(databases.subdirectory(directory, "certificates"))
    for path in (certificates.authority, certificates.certificate):
        path.chmod(0o644)
    with ExitStack() as stack:
        # As durable as the distribution's: its fsync is what a commit waits for.
        server = stack.enter_context(databases.postgresql(public, certificates, {"fsync": "on"}))
        sides = []
        for name, size, overflow in (("kept", 15, 1), ("opened", 1, 15)):
            server.execute(f"CREATE DATABASE {name}", "postgres")
            settings = {
                "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg://postgres@/{name}?host={public}&port={server.port}",
                "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": str(size),
                "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": str(overflow),
            }
            sides.append(stack.enter_context(serving(python, f"PostgreSQL, pool {size} + {overflow}", settings)))
        return compare(sides, "postgresql", effort)


def main(arguments: Sequence[str]) -> int:
    """Measure, and show the table."""
    parser = argparse.ArgumentParser(prog="bench.stores", description="Measure what WAL and the size of a pool give.")
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of a release's virtual environment")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where the databases are, on a disk")
    parser.add_argument("--rounds", type=int, default=Effort.rounds)
    options = parser.parse_args(arguments)
    effort = Effort(rounds=options.rounds)
    scratch = Path(tempfile.mkdtemp(prefix="selfhosted-mlflow-bench-", dir=options.directory))
    scratch.chmod(0o711)
    try:
        found = [*sqlite(options.python, effort, scratch), *postgresql(options.python, effort, scratch)]
    finally:
        shutil.rmtree(scratch)
    script = "import mlflow, sys, sqlite3; print(mlflow.__version__, sys.version.split()[0], sqlite3.sqlite_version)"
    words = subprocess.run(
        [str(options.python), "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    run = Run(today, os.cpu_count() or 1, dict(zip(("MLflow", "Python", "SQLite"), words, strict=True)))
    print(table(run, found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
