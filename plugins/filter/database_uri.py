# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``selfhosted.mlflow.database_uri``; documented in the file beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import database_parts


def database_uri(parts: Mapping[str, Any]) -> str:
    """Return the address, '' for parts that make none: a preflight says of those what is wrong, all at once."""
    try:
        return database_parts.uri(database_parts.parse(parts))
    except (TypeError, ValueError):
        return ""


class FilterModule:
    """The collection's filter ``database_uri``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"database_uri": database_uri}
