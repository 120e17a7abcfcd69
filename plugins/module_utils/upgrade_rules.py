# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a database can be brought to what a release of MLflow wants, and whether it has to be.

MLflow keeps the revision of each database's schema in it (Alembic's "alembic_version"), and every release ships
the scripts that lead from one revision to the next.  There is no way back but a backup.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Where the scripts are below site-packages, by store.
SCRIPTS = {
    "tracking": "mlflow/store/db_migrations/versions",
    "registry": "mlflow/store/db_migrations/versions",
    "auth": "mlflow/server/auth/db/migrations/versions",
}
#: The accounts' first schema, which releases before 3.6 made without noting its revision.
FIRST_AUTH_REVISION = "8606fa83a998"
#: The dump, and as much for keeping what the new release has written, should it have to go back.
_DUMPS = 2
#: A migration copies SQLite's tables, and a restored file is written beside the old one.
_COPIES = 2
_MEBIBYTE = 1024 * 1024
_SLACK = 64 * _MEBIBYTE
#: What of the tracking store is never fewer after an upgrade.
_PROOF = ("experiments", "runs", "registered_models", "model_versions")


@dataclass(frozen=True)
class Schema:
    """The revisions that a release knows of one store, and the one that it wants ('' when it has none)."""

    known: frozenset[str]
    head: str


@dataclass(frozen=True)
class Store:
    """One database as mlflow-database's ``status`` shows it.

    ``revision`` is None while nothing is in it, ``cannot_dump`` says what a dump would fail on.
    """

    name: str
    engine: str
    revision: Optional[str]
    size: int
    counts: Mapping[str, int] = field(default_factory=dict)
    cannot_dump: Optional[Problem] = None


@dataclass(frozen=True)
class Space:
    """Free bytes of the file system that ``path`` lies on, or will lie on."""

    path: str
    free: int


def schema(scripts: Iterable[str]) -> Schema:
    """Read the texts of Alembic's scripts.  Raises ValueError for several heads, which no release has shipped."""
    known: set[str] = set()
    left: set[Any] = set()
    for text in scripts:
        assigned = dict(_literals(ast.parse(text)))
        if assigned.get("revision"):
            known.add(str(assigned["revision"]))
            before = assigned.get("down_revision")
            left.update(before if isinstance(before, tuple) else (before,))
    heads = known - left
    if len(heads) > 1:
        raise ValueError(f"the release's scripts end in several revisions: {', '.join(sorted(heads))}")
    return Schema(frozenset(known), next(iter(heads), ""))


def _literals(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                yield statement.targets[0].id, ast.literal_eval(statement.value)
            except ValueError:
                # Computed, so not a revision.
                continue


def stores(status: Mapping[str, Any]) -> tuple[Store, ...]:
    """Read what ``mlflow-database status`` printed."""
    return tuple(
        Store(
            name=name,
            engine=str(found["engine"]),
            revision=_revision(name, found),
            size=int(found.get("bytes") or 0),
            counts={key: int(value) for key, value in (found.get("counts") or {}).items() if value is not None},
            cannot_dump=problem(found["cannot_dump"]) if found.get("cannot_dump") else None,
        )
        for name, found in sorted(status.get("stores", {}).items())
        if found is not None
    )


def problem(told: Mapping[str, Any]) -> Problem:
    """Read a problem as mlflow-database tells it."""
    return Problem(*(str(told.get(key, "")).rstrip(".") for key in ("found", "why", "instead")))


def _revision(name: str, found: Mapping[str, Any]) -> Optional[str]:
    revision: Optional[str] = found.get("revision") or None
    if revision is None and name == "auth" and any((found.get("counts") or {}).values()):
        return FIRST_AUTH_REVISION
    return revision


def behind(found: Iterable[Store], wanted: Mapping[str, Schema]) -> list[Store]:
    """Return the stores that the release would have to migrate; an empty one it makes as it starts."""
    return [
        store
        for store in found
        if store.revision is not None and wanted[store.name].head and store.revision != wanted[store.name].head
    ]


def fits(found: Iterable[Store], known: Mapping[str, Schema]) -> bool:
    """Return whether a release knows the schemas, so that it could run with them or migrate them."""
    return all(
        store.revision is None or not known[store.name].head or store.revision in known[store.name].known
        for store in found
    )


def version(release: str) -> str:
    """Return the version in a release directory's name, such as 3.17.2 in mlflow-3.17.2-0123456789ab."""
    match = re.fullmatch(r"[A-Za-z]+-(?P<version>.+)-[0-9a-f]{12}", release)
    return match["version"] if match else release


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def revision_problems(
    found: Iterable[Store], wanted: Mapping[str, Schema], source: str, target: str, backups: str
) -> Iterator[Problem]:
    """Yield the schemas that ``target`` doesn't know; ``source`` and ``target`` are releases."""
    older = _numbers(version(target)) < _numbers(version(source))
    for store in found:
        if fits((store,), wanted):
            continue
        unknown = f"the {store.name} database's schema is at revision {store.revision}, which MLflow "
        if older:
            yield Problem(
                f"{unknown}{version(target)} does not know, and {version(source)} is in use",
                "MLflow can't take a schema back, and an older release refuses a newer one",
                f"leave mlflow_server_version at {version(source)}; to go back and lose what was logged since, restore "
                f"a dump of that time as the role's README says: those taken by upgrades are in {backups}",
            )
        else:
            yield Problem(
                f"{unknown}{version(target)} does not know",
                "a newer release has migrated it, and older ones refuse it",
                "set mlflow_server_version to the newest release that has used this database",
            )


def space_problems(found: Iterable[Store], backups: Space, beside: Mapping[str, Space]) -> Iterator[Problem]:
    """Yield what does not fit; ``beside`` is where the files of the SQLite stores lie, by store."""
    listed = list(found)
    needed = _DUMPS * sum(store.size for store in listed) + _SLACK
    if backups.free < needed:
        yield Problem(
            f"{backups.path} has {_mebibytes(backups.free)} free, and {_mebibytes(needed)} are needed",
            "the database is dumped there before it is migrated, and once more if the upgrade has to go back",
            "free space, or name another directory in mlflow_server_backup_directory",
        )
    for store in listed:
        space, needed = beside.get(store.name), _COPIES * store.size + _SLACK
        if space is not None and space.free < needed:
            yield Problem(
                f"{space.path} has {_mebibytes(space.free)} free, and {_mebibytes(needed)} are needed",
                f"the {store.name} database lies there; a migration copies its tables",
                "free space on that file system",
            )


def _mebibytes(size: int) -> str:
    return f"{size // _MEBIBYTE} MiB"


def counts(found: Iterable[Store]) -> dict[str, int]:
    """Return what must be found again after the upgrade."""
    return {
        key: value
        for store in found
        if store.name == "tracking"
        for key, value in store.counts.items()
        if key in _PROOF
    }


def lost(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return what is fewer than before, or ''; clients may have written more meanwhile."""
    return ", ".join(
        f"{after.get(key, 0)} of {value} {key}" for key, value in sorted(before.items()) if after.get(key, 0) < value
    )


def describe(release: Optional[str], found: Iterable[Store], heads: Optional[Mapping[str, Schema]] = None) -> str:
    """Return the text that a diff shows: the release, and the revision of each schema, or of ``heads``."""
    lines = [f"release: {release or 'none'}"]
    for store in found:
        revision = store.revision
        if heads is not None and revision is not None:
            revision = heads[store.name].head or revision
        lines.append(f"{store.name} schema: {revision or 'none yet'}")
    return "\n".join(lines) + "\n"
