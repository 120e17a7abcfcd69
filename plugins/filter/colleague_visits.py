# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``selfhosted.mlflow.colleague_visits``; documented in the file beside this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member, partners


def colleague_visits(replies: Iterable[Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Return for each client which of its users writes to whose directory at which path."""
    at: dict[str, list[Member]] = {}
    for reply in replies:
        at.setdefault(reply["path"], []).append(Member(reply["client"], reply["user"]))
    visits: dict[str, list[dict[str, str]]] = {}
    for path, members in at.items():
        for member, colleague in partners(members).items():
            visits.setdefault(member.client, []).append(
                {
                    "user": member.user,
                    "path": path,
                    "their_client": colleague.client,
                    "their_user": colleague.user,
                }
            )
    return visits


class FilterModule:
    """The collection's filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"colleague_visits": colleague_visits}
