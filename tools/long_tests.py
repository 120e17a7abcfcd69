# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker ``long``: what takes long, and is run before a release rather than with each change."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def leave_out(items: Iterable[pytest.Item]) -> None:
    """Skip what takes long, by name, so that one sees what was not run."""
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip("SKIPPED: takes long; make test-all runs it"))
