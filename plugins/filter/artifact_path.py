# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``selfhosted.mlflow.artifact_path``; documented in the file beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri


def artifact_path(uri: str) -> str:
    """Return the directory that an artifact URI means, '' for what is none."""
    return artifact_uri.parse(uri).path


class FilterModule:
    """The collection's filter ``artifact_path``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"artifact_path": artifact_path}
