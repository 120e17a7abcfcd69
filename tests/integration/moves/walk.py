"""Look at every text in a database, and at how a move copes with being killed.  Runs under a release's Python."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import sqlalchemy
from sqlalchemy import event

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_mover, move_record
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root


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


def move_killed_at(point: int, environment: dict[str, str], parent: str, wish: dict[str, Any]) -> None:
    """Move, and be killed at the ``point``-th step that leaves something behind."""
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
    print(json.dumps({"needed": plan.needed, "steps": steps}))


if __name__ == "__main__":
    if sys.argv[1] == "texts":
        print(json.dumps(texts(sys.argv[2])))
    else:
        move_killed_at(**json.loads(sys.argv[2]))
