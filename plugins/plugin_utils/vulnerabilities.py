# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which releases of MLflow are known to have serious holes, and who may deploy them all the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

try:
    from packaging.version import InvalidVersion, Version
except ImportError:
    # A requirement of ansible-core's, which its sanity tests leave out.
    HAS_PACKAGING = False
else:
    HAS_PACKAGING = True

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem


@dataclass(frozen=True)
class Vulnerability:
    """One hole.

    ``affected`` are ranges of releases, from the first on, up to but not with the second; ``part`` is server or
    client; ``names`` are the identifiers by which it may be accepted, the CVE's first.
    """

    names: tuple[str, ...]
    severity: str
    part: str
    affected: tuple[tuple[Version, Version], ...]
    summary: str
    source: str

    def affects(self, release: Version) -> bool:
        """Whether a release has it; a candidate of the fixed release counts as fixed only when it is that one."""
        return any(introduced <= release < fixed for introduced, fixed in self.affected)

    @property
    def fixed(self) -> Version:
        """The newest of the releases that fix it."""
        return max(fixed for _introduced, fixed in self.affected)


@dataclass(frozen=True)
class Listed:
    """The list as it was on ``date`` (ISO 8601)."""

    date: str
    vulnerabilities: tuple[Vulnerability, ...]

    @property
    def names(self) -> set[str]:
        """Every identifier that can be accepted."""
        return {name for one in self.vulnerabilities for name in one.names}


def parse(document: Mapping[str, Any]) -> Listed:
    """Return the list from roles/mlflow_server/files/known-vulnerabilities.yml.

    Raises KeyError for what is absent, InvalidVersion for what is no version (PEP 440).
    """
    return Listed(
        date=str(document["date"]),
        vulnerabilities=tuple(
            Vulnerability(
                names=(one["id"], *([one["advisory"]] if "advisory" in one else [])),
                severity=one["severity"],
                part=one["part"],
                affected=tuple((Version(each["introduced"]), Version(each["fixed"])) for each in one["affected"]),
                summary=one["summary"],
                source=one["source"],
            )
            for one in document["vulnerabilities"]
        ),
    )


def affecting(listed: Listed, release: str, part: str, accepted: Collection[str] = ()) -> Sequence[Vulnerability]:
    """Return what a release has in a part and nobody accepted; nothing when ``release`` is no version."""
    try:
        version = Version(release)
    except InvalidVersion:
        return ()
    return [
        one
        for one in listed.vulnerabilities
        if one.part == part and one.affects(version) and not set(one.names) & set(accepted)
    ]


def describe(found: Sequence[Vulnerability]) -> str:
    """Return a line for each."""
    return "\n".join(
        f"        {one.names[0]} ({one.severity}, fixed in {one.fixed}): {one.summary}, {one.source}" for one in found
    )


def problems(listed: Listed, release: str, part: str, role: str, accepted: Sequence[str]) -> Iterator[Problem]:
    """Yield why a role must not deploy a release; ``accepted`` are the identifiers in its input."""
    unknown = [name for name in accepted if name not in listed.names]
    if unknown:
        yield Problem(
            f"{role}_accepted_vulnerabilities has {', '.join(unknown)}",
            f"the list of {listed.date} has no such vulnerability, so that nothing is accepted by it",
            "write the identifiers as the refusal writes them, such as CVE-2026-2614, or remove it",
        )
    found = affecting(listed, release, part, accepted)
    if found:
        names = ", ".join(one.names[0] for one in found)
        newest = max(one.fixed for one in found)
        yield Problem(
            f"MLflow {release} is to be deployed, which is known to be vulnerable (list of {listed.date}):\n"
            f"{describe(found)}",
            "whoever reaches the server could use that" if part == "server" else "what others have made could use that",
            f"deploy {newest} or newer (an upgrade from {release} is never refused); where you know that nobody can "
            f"use it, write {role}_accepted_vulnerabilities: [{names}]",
        )
