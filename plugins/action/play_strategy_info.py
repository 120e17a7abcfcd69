# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells whether the hosts of a play go in step; documented as a module."""

from __future__ import annotations

from typing import Any, Optional

from ansible.plugins.action import ActionBase

#: How the strategies end by which each host goes its own way: ansible.builtin.free, mitogen_free and the like.
_OWN_PACE = ("free", "host_pinned")


class ActionModule(ActionBase):
    """Action ``selfhosted.mlflow.play_strategy_info``."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        strategy = str(self._task.play.strategy)
        return {"changed": False, "strategy": strategy, "in_step": not strategy.endswith(_OWN_PACE)}
