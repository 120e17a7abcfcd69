# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it takes to have a group with a fixed number and certain members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Group:
    """A group as a host knows it; ``members`` counts those who have it as their primary group."""

    name: str
    gid: int
    members: frozenset[str]


@dataclass(frozen=True)
class Change:
    """The commands that are needed, none when all is right, and the texts of a diff."""

    commands: tuple[tuple[str, ...], ...]
    added: tuple[str, ...]
    before: str
    after: str


def _text(gid: int, members: Sequence[str], name: str) -> str:
    """Show a group as a line of group(5)."""
    return f"{name}:x:{gid}:{','.join(members)}\n"


def plan(current: Optional[Group], name: str, gid: int, members: Sequence[str]) -> Change:
    """Compare a group with what it should be.

    ``current`` is None when the host has no such group.  The commands are those of shadow-utils
    (groupadd(8), gpasswd(1)), in the order in which they must run.

    Raises ValueError when the group has another number: files that carry the
    old one would change hands.
    """
    if current is not None and current.gid != gid:
        raise ValueError(
            f"group {name} has gid {current.gid} on this host, not {gid}. Files carry the number, "
            f"so it is not changed here: set the gid input to {current.gid} on all hosts of the "
            f"share, or renumber the group yourself (groupmod --gid {gid} {name}).",
        )
    have = current.members if current else frozenset()
    added = tuple(sorted(set(members) - have))
    commands = [] if current else [("groupadd", "--gid", str(gid), name)]
    # gpasswd, not usermod: it also takes users who come from a directory service.
    commands += [("gpasswd", "--add", user, name) for user in added]
    return Change(
        commands=tuple(commands),
        added=added,
        before=_text(gid, sorted(have), name) if current else "",
        after=_text(gid, sorted(have.union(members)), name),
    )
