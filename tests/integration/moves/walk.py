"""Look at every text in a database, and at how a move copes with being killed.  Runs under a release's Python."""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_mover, move_record
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root

#: A move of one of everything has more.
STEPS = 30
FORK = multiprocessing.get_context("fork")


def texts(uri: str) -> dict[str, list[str]]:
    """Return all texts in all tables, by ``table.column``, or ``table.column[key]`` where rows have keys.

    Rows stand in the order of their contents: PostgreSQL returns a changed row last.
    """
    engine = sqlalchemy.create_engine(uri)
    schema = sqlalchemy.MetaData()
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        schema.reflect(bind=connection)
        for table in schema.sorted_tables:
            rows = connection.execute(sqlalchemy.select(table)).mappings().all()
            for row in sorted(rows, key=lambda row: [str(value) for value in row.values()]):
                key = f"[{row['key']}]" if "key" in row else ""
                for column, value in row.items():
                    if isinstance(value, (str, dict, list)):
                        text = value if isinstance(value, str) else json.dumps(value)
                        found.setdefault(f"{table.name}.{column}{key}", []).append(text)
    engine.dispose()
    return found


def move_killed_at(point: int, environment: dict[str, str], parent: str, wish: dict[str, Any]) -> int:
    """Move, be killed at the ``point``-th step that leaves something behind, and return how many steps there are."""
    steps = 0

    def step(*_arguments: Any, **_named: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(original: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*given: Any, **named: Any) -> Any:
            step()
            return original(*given, **named)

        return stepping

    for name in ("fsync", "replace", "sync", "mkdir"):
        setattr(os, name, before(getattr(os, name)))

    def writing(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith(("UPDATE", "BEGIN")):
            step()

    event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", writing)
    event.listen(sqlalchemy.engine.Engine, "commit", step)
    given: dict[str, Any] = dict(wish)
    for name in {"source", "target"} & set(wish):
        given[name] = Root(**wish[name])
    mover = artifact_mover.Mover(environment, parent, artifact_mover.Wish(**given))
    plan = mover.plan()
    if plan.needed:
        with move_record.locked(parent):
            mover.finish(plan)
    return steps


def forked(point: int, given: dict[str, Any]) -> tuple[int, int]:
    """Move in a process of its own; return what that ended with, as the shell counts, and how many steps there were."""
    steps = FORK.Value("i", 0)

    def move() -> None:
        steps.value = move_killed_at(point, **given)

    process = FORK.Process(target=move)
    process.start()
    process.join()
    return process.exitcode or 0, steps.value


def state(database: Path, target: Path) -> str:
    """Return what tells one state of a database of SQLite and of a directory from another."""
    found = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        found.update("\n".join(connection.iterdump()).encode())
    for path in sorted(path for path in target.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(target)).encode() + path.read_bytes())
    return found.hexdigest()


def walk(database: str, **given: Any) -> list[str]:
    """Move once as it should be, then be killed anywhere and go on; return what came of it differently."""
    file, kept, target = Path(database), Path(f"{database}.kept"), Path(given["wish"]["target"]["directory"])
    shutil.copy(file, kept)
    target.mkdir()
    (code, steps), wanted = forked(0, given), state(file, target)
    found = [] if code == 0 and steps > STEPS else [f"the whole move ended with {code} after {steps} steps"]
    # Each kind of step is there many times, but for the last ones.
    for point in [*range(1, steps - 8, 5), *range(steps - 8, steps + 1)]:
        shutil.copy(kept, file)
        shutil.rmtree(target)
        shutil.rmtree(given["parent"])
        target.mkdir()
        ended = forked(point, given)[0], forked(0, given)[0], state(file, target) == wanted
        if ended != (-signal.SIGKILL, 0, True):
            found.append(f"killed at step {point} of {steps}: {ended}")
    return found


if __name__ == "__main__":
    if sys.argv[1] == "texts":
        print(json.dumps(texts(sys.argv[2])))
    elif sys.argv[1] == "walk":
        print(json.dumps(walk(**json.loads(sys.argv[2]))))
    else:
        move_killed_at(**json.loads(sys.argv[2]))
