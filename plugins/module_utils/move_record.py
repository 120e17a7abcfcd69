# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a move: what moves where, how far it is, and every value as it was.

A directory for each move: ``move.json``, ``files.jsonl`` (what was copied) and ``changes-N.json`` (the rows of each
transaction, written before it is committed).  It makes a move that was killed go on, and one that was done be undone.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import whole_file
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root

COPYING, REWRITTEN, DONE, UNDOING, UNDONE = "copying", "rewritten", "done", "undoing", "undone"
_UNFINISHED = (COPYING, REWRITTEN, UNDOING)


class BusyError(Exception):
    """Another process is moving."""


@dataclass(frozen=True)
class Move:
    """One move; ``directory`` holds its record, ``phase`` is how far it is."""

    directory: str
    source: Root
    target: Root
    phase: str = COPYING

    @property
    def files(self) -> str:
        """Where the list of the copied files is."""
        return os.path.join(self.directory, "files.jsonl")

    @property
    def unfinished(self) -> bool:
        """Whether it was begun and has to be ended."""
        return self.phase in _UNFINISHED

    def backwards(self) -> Move:
        """Return the move that takes this one back, with the same record."""
        return replace(self, source=self.target, target=self.source)


def _write(path: str, value: Any) -> None:
    """Write JSON in one step that outlives a power cut."""
    whole_file.write(path, json.dumps(value, indent=1, ensure_ascii=False, default=str))


def save(move: Move) -> Move:
    """Write a move's state, and return it."""
    whole_file.make_directory(move.directory, 0o700)
    state = {"source": asdict(move.source), "target": asdict(move.target), "phase": move.phase}
    _write(os.path.join(move.directory, "move.json"), state)
    return move


def begin(parent: str, source: Root, target: Root) -> Move:
    """Record a new move."""
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    number = len(glob.glob(os.path.join(glob.escape(parent), f"{name}*")))
    return save(Move(os.path.join(parent, f"{name}-{number}"), source, target))


def last(parent: str) -> Optional[Move]:
    """Return the latest recorded move.  Raises OSError, ValueError for a record that can't be read."""
    found = sorted(glob.glob(os.path.join(glob.escape(parent), "*", "move.json")))
    if not found:
        return None
    with open(found[-1], encoding="utf-8", errors="surrogateescape") as stream:
        state = json.load(stream)
    source, target = Root(**state["source"]), Root(**state["target"])
    return Move(os.path.dirname(found[-1]), source, target, state["phase"])


def add_changes(move: Move, store: str, changes: Sequence[dict[str, Any]]) -> None:
    """Record what a transaction is about to change in a store."""
    count = len(glob.glob(os.path.join(glob.escape(move.directory), "changes-*.json")))
    _write(os.path.join(move.directory, f"changes-{count:04}.json"), {"store": store, "changes": list(changes)})


def changes(move: Move, store: str) -> list[dict[str, Any]]:
    """Return all recorded changes of a store, in their order."""
    found: list[dict[str, Any]] = []
    for path in sorted(glob.glob(os.path.join(glob.escape(move.directory), "changes-*.json"))):
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            recorded = json.load(stream)
        if recorded["store"] == store:
            found += recorded["changes"]
    return found


@contextmanager
def locked(parent: str) -> Iterator[None]:
    """Keep others from moving at the same time.  Raises BusyError."""
    whole_file.make_directory(parent, 0o700)
    descriptor = os.open(os.path.join(parent, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BusyError(
            "another process is moving artifacts; wait for it, `journalctl -t mlflow-artifact-move`"
        ) from None
    finally:
        os.close(descriptor)
