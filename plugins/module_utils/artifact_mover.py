# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move the artifacts of an MLflow server: plan, copy, rewrite, prove; and back.

Each step may be killed: what it did is recorded, and doing all again ends what was begun.
"""

from __future__ import annotations

import os
import shutil
import syslog
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_root,
    move_database,
    move_location,
    move_record,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_uri import sqlite_path
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Copier, Owner, Progress
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_record import Move
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_STORES = {"tracking": "MLFLOW_BACKEND_STORE_URI", "registry": "MLFLOW_REGISTRY_STORE_URI"}
#: Of what is to be copied, left free besides.
_RESERVE = 64 << 20
_SHOWN = 3


class MoveError(Exception):
    """The move can't go on; the text says why and what to do."""


@dataclass(frozen=True)
class Wish:
    """What is asked for: ``source`` None means where the server's environment file says that artifacts are."""

    target: Root
    source: Optional[Root] = None
    undo: bool = False
    accepted: tuple[str, ...] = ()
    owner: Optional[Owner] = field(default=None, compare=False)
    verify_every: int = 1


@dataclass(frozen=True)
class Plan:
    """What would be done; nothing to do when not ``needed``."""

    move: Optional[Move]
    source: Root
    target: Root
    needed: bool = False
    rows: Mapping[str, int] = field(default_factory=dict)
    mentions: Mapping[str, int] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    problems: tuple[Problem, ...] = ()


def stores(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the databases that a server's environment names, each once.  Raises MoveError."""
    found: dict[str, str] = {}
    for name, variable in _STORES.items():
        uri = environment.get(variable, "")
        if uri and uri not in found.values():
            found[name] = uri
    if not found:
        raise MoveError("the environment file names no database: was the server deployed by mlflow_server?")
    for uri in found.values():
        if uri.startswith("sqlite:") and not os.path.isfile(sqlite_path(uri.partition(":")[2])):
            raise MoveError(f"there is no database {uri}: start the server once, which makes it")
    return found


def current_root(environment: Mapping[str, str]) -> Root:
    """Return where a server's environment file says that artifacts are.  Raises MoveError."""
    default = environment.get("MLFLOW_DEFAULT_ARTIFACT_ROOT", "")
    if default.startswith("mlflow-artifacts:"):
        return Root(move_location.PROXIED, environment.get("MLFLOW_ARTIFACTS_DESTINATION", ""))
    if not default.startswith("/"):
        raise MoveError(f"the server's artifact root is {default!r}: only directories of its host can be moved")
    return Root(move_location.DIRECT, default)


def _root_problems(source: Root, target: Root) -> list[Problem]:
    problems = [
        found
        for name, root in (("the old artifact root", source), ("mlflow_artifact_root", target))
        for found in [artifact_root.path_problem(name, root.directory)]
        if found
    ]
    one, other = source.directory, target.directory
    if not problems and one != other and (artifact_root.within(one, other) or artifact_root.within(other, one)):
        problems.append(
            Problem(
                f"{one} and {other} contain each other",
                "the copy would be copied, or the old root's files be taken for new ones",
                "move to a directory apart from the old one",
            )
        )
    return problems


class Mover:
    """A move on this host; ``environment`` is the server's, ``parent`` the directory of the records."""

    def __init__(self, environment: Mapping[str, str], parent: str, wish: Wish) -> None:
        self._environment, self._parent, self._wish = environment, parent, wish

    def plan(self) -> Plan:
        """Return what would be done, and what is in its way.  Changes nothing.  Raises MoveError, OSError."""
        move = self._recorded()
        source, target = (move.source, move.target) if move else (self._source(), self._wish.target)
        if source == target:
            return Plan(move, source, target)
        problems = _root_problems(source, target)
        if problems:
            return Plan(move, source, target, problems=tuple(problems))
        rows: dict[str, int] = {}
        mentions: dict[str, int] = {}
        for name, uri in stores(self._environment).items():
            with move_database.opened(uri) as database:
                survey = database.survey(source, target, self._wish.accepted)
            problems += survey.problems
            prefix = "" if name == "tracking" else f"{name}: "
            rows.update({prefix + column: count for column, count in survey.rows.items()})
            mentions.update({prefix + column: count for column, count in survey.mentions.items()})
        files, size = self._copier(move or Move("", source, target)).pending()
        problems += self._space(target, size)
        needed = bool(rows or files or (move and move.unfinished))
        return Plan(move, source, target, needed, rows, mentions, files, size, tuple(problems))

    def copy(self, plan: Plan) -> Move:
        """Copy what is not copied yet, while the server may be running."""
        move = plan.move or move_record.begin(self._parent, plan.source, plan.target)
        self._copy(move)
        return move

    def finish(self, plan: Plan) -> Move:
        """Copy the rest, rewrite and prove.  No server may be running.  Raises MoveError."""
        move = self.copy(plan)
        done = move_record.UNDONE if self._wish.undo else move_record.DONE
        for name, uri in stores(self._environment).items():
            self._rewrite(move, name, uri)
        if not self._wish.undo:
            self._save(move, move_record.REWRITTEN)
        # Clients that write directly may have gone on.
        self._copy(move)
        self._prove(move)
        return self._save(move, done)

    def _source(self) -> Root:
        return self._wish.source or current_root(self._environment)

    def _save(self, move: Move, phase: str) -> Move:
        """Record a phase; the record always says where the move went, not where its undoing goes."""
        forward = move.backwards() if self._wish.undo else move
        move_record.save(replace(forward, phase=phase))
        return replace(move, phase=phase)

    def _recorded(self) -> Optional[Move]:
        """Return the move that is to go on, or to be undone.  Raises MoveError when the wish says otherwise."""
        try:
            last = move_record.last(self._parent)
        except (ValueError, KeyError, TypeError) as error:
            raise MoveError(f"a record in {self._parent} can't be read: {error!r}") from error
        if self._wish.undo:
            if last is None or last.phase == move_record.UNDONE:
                return self._nothing_to_undo(last)
            if last.source != self._wish.target:
                raise MoveError(
                    f"the recorded move came from {last.source}, but the inventory says {self._wish.target}: set "
                    "mlflow_artifact_root and mlflow_artifact_access back first, or the next site.yml would differ"
                )
            return last.backwards()
        if last is None:
            return None
        if not last.unfinished:
            # Done, and asked for again: its list tells what was copied.
            asked = (self._source(), self._wish.target)
            return last if last.phase == move_record.DONE and (last.source, last.target) == asked else None
        if last.phase == move_record.UNDOING:
            raise MoveError(f"undoing the move in {last.directory} was begun: end it, mlflow_artifact_move_undo=true")
        if last.target != self._wish.target:
            raise MoveError(
                f"a move to {last.target} was begun, and now {self._wish.target} is wanted: set the inventory to the "
                "former and run again to end it, or add mlflow_artifact_move_undo=true with the old root to undo it"
            )
        return last

    def _nothing_to_undo(self, last: Optional[Move]) -> Optional[Move]:
        if last is not None:
            # A second run: all is where the inventory says.
            return replace(last, source=self._wish.target, target=self._wish.target)
        raise MoveError(f"no move is recorded in {self._parent}, so that there is nothing to undo")

    def _copier(self, move: Move) -> Copier:
        listed = move.files if move.directory else os.devnull
        return Copier(move.source.directory, move.target.directory, listed, self._wish.owner)

    def _space(self, target: Root, size: int) -> list[Problem]:
        near = target.directory
        while not os.path.isdir(near):
            near = os.path.dirname(near)
        free = shutil.disk_usage(near).free
        if size == 0 or size + _RESERVE <= free:
            return []
        found = f"{size} bytes are to be copied to {target.directory}, where {free} are free"
        return [Problem(found, "the copy would end halfway", "make room there, or choose another artifact root")]

    def _copy(self, move: Move) -> None:
        if move.source.directory == move.target.directory:
            return
        if not os.path.isdir(move.target.directory):
            raise MoveError(f"there is no directory {move.target.directory}: run site's roles for directories first")

        def tell(now: Progress) -> None:
            syslog.syslog(
                f"{now.copied_files} files ({now.copied_bytes} bytes) copied from {move.source.directory} to "
                f"{move.target.directory}, {now.files} looked at"
            )

        syslog.openlog("mlflow-artifact-move", syslog.LOG_PID)
        self._copier(move).copy(Progress(tell))

    def _rewrite(self, move: Move, name: str, uri: str) -> None:
        """Rewrite one store in one transaction, in which nothing of the old root is left."""
        if self._wish.undo:
            self._save(move, move_record.UNDOING)
        with move_database.opened(uri, write=True) as database:
            if self._wish.undo:
                database.apply(move_database.reversed_changes(move_record.changes(move, name)))
            survey = database.survey(move.source, move.target, self._wish.accepted)
            if survey.problems:
                raise MoveError("; ".join(map(str, survey.problems)))
            if not self._wish.undo and survey.changes:
                move_record.add_changes(move, name, move_database.as_record(survey.changes))
            written = database.apply(survey.changes)
            left = database.survey(move.source, move.target, self._wish.accepted).changes
            if left or written != len(survey.changes):
                raise MoveError(
                    f"{written} of {len(survey.changes)} rows could be written, {len(left)} still name the old root; "
                    "nothing was changed: is another server using this database?"
                )

    def _prove(self, move: Move) -> None:
        compared, wrong = self._copier(move).prove(self._wish.verify_every)
        syslog.syslog(f"{compared} files compared by sha256, {len(wrong)} differ")
        if wrong:
            raise MoveError(
                f"{len(wrong)} of {compared} copies are not what was copied, {_some(wrong)}: is the disk failing? "
                "The old root is as it was; run again with mlflow_artifact_move_undo=true and the old root"
            )


def _some(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (" and more" if len(paths) > _SHOWN else "")
