# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Group what MLflow has stored of artifact locations by the directory they lie in.

MLflow keeps an absolute location with each experiment for good, so that changing the server's root moves
only what is made afterwards (seen on 3.17.2).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, artifact_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_uri import ArtifactUri

DELETED = "deleted"
_WORKSPACES = "workspaces"


@dataclass(frozen=True)
class Experiment:
    """An experiment and where its new runs' artifacts go; ``deleted`` ones can be restored."""

    number: str
    name: str
    location: ArtifactUri
    deleted: bool = False
    workspace: str = ""


@dataclass(frozen=True)
class Group:
    """Experiments of one place.

    ``kind`` is one of artifact_uri's; ``root`` the local directory, otherwise the beginning of the URIs.
    """

    kind: str
    root: str
    experiments: tuple[Experiment, ...]

    @property
    def alive(self) -> tuple[Experiment, ...]:
        """Those that are not deleted."""
        return tuple(one for one in self.experiments if not one.deleted)


@dataclass(frozen=True)
class Locations:
    """All experiments by place: ``inside`` the proven roots, local ones ``elsewhere``, and the others."""

    inside: tuple[Experiment, ...]
    elsewhere: tuple[Group, ...]
    proxied: tuple[Group, ...]
    remote: tuple[Group, ...]
    unusable: tuple[Group, ...]


def experiment(listed: Mapping[str, Any], workspace: str = "") -> Experiment:
    """Return an experiment as the REST API lists it; a location that it lacks is an unusable one.

    ``workspace`` is where it was found, '' on a server without workspaces.
    """
    return Experiment(
        number=str(listed.get("experiment_id", "")),
        name=str(listed.get("name", "")),
        location=artifact_uri.parse(str(listed.get("artifact_location") or "")),
        deleted=listed.get("lifecycle_stage") == DELETED,
        workspace=workspace,
    )


def _local_root(one: Experiment) -> str:
    """Return the root that the server had when it chose the location; a location of its own is its own root."""
    path = one.location.path
    parent, name = posixpath.split(path)
    if name != one.number or parent == "/":
        return path
    # With workspaces the server puts two directories between.
    scoped = f"/{_WORKSPACES}/{one.workspace}"
    above = parent[: -len(scoped)]
    return above if one.workspace and parent.endswith(scoped) and above else parent


def _origin(one: Experiment) -> str:
    """Return scheme and host of a location that isn't local, without credentials."""
    scheme, separator, rest = one.location.shown.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if separator else f"{one.location.scheme}:/"


def _grouped(experiments: Iterable[Experiment], key: Callable[[Experiment], str]) -> tuple[Group, ...]:
    """Return groups by ``key``, those of the most experiments first."""
    found: dict[str, list[Experiment]] = {}
    for one in experiments:
        found.setdefault(key(one), []).append(one)
    groups = [Group(members[0].location.kind, root, tuple(members)) for root, members in found.items()]
    return tuple(sorted(groups, key=lambda group: (-len(group.experiments), group.root)))


def _outermost(roots: Iterable[str]) -> dict[str, str]:
    """Return for each root the outermost of them that holds it: proving that one proves it as well."""
    known = set(roots)
    outer = {}
    for root in known:
        parts = root.split("/")
        # From the top.
        above = ("/".join(parts[:count]) for count in range(2, len(parts)))
        outer[root] = next((path for path in above if path in known), root)
    return outer


def group(experiments: Iterable[Experiment], proven: Sequence[str]) -> Locations:
    """Sort experiments by place; ``proven`` are local directories that are proved anyway, as normal paths."""
    by_kind: dict[str, list[Experiment]] = {}
    for one in experiments:
        by_kind.setdefault(one.location.kind, []).append(one)
    local = by_kind.get(artifact_uri.LOCAL, [])
    inside = tuple(one for one in local if any(artifact_root.within(one.location.path, root) for root in proven))
    held = set(inside)
    outside = [one for one in local if one not in held]
    outer = _outermost(map(_local_root, outside))
    return Locations(
        inside=inside,
        elsewhere=_grouped(outside, lambda one: outer[_local_root(one)]),
        proxied=_grouped(by_kind.get(artifact_uri.PROXIED, []), _origin),
        remote=_grouped(by_kind.get(artifact_uri.REMOTE, []), _origin),
        unusable=_grouped(by_kind.get(artifact_uri.UNUSABLE, []), lambda one: one.location.why),
    )
