# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``selfhosted.mlflow.password_kind``; documented in the file beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import password_kind


class FilterModule:
    """The collection's filter ``password_kind``."""

    def filters(self) -> dict[str, Callable[[Any], str]]:
        return {"password_kind": password_kind.kind}
