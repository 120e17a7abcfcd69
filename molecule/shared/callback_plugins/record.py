# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down which tasks changed what, when LAB_RECORD_DIR says where; silent otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible import context
from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: notification
short_description: Record which tasks changed what
description:
  - Writes one JSON list per run of a playbook named converge.yml into the directory E(LAB_RECORD_DIR).
  - A run in check mode goes to C(NN-check.json), any other to C(NN-run.json), NN counting up.
"""
PLAYBOOK = "converge.yml"


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible's base class is untyped
    """Collects results and writes them at the end, also of a failed run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        directory = os.environ.get("LAB_RECORD_DIR")
        self._directory = Path(directory) if directory else None
        self._entries: list[dict[str, object]] = []
        self._wanted = False

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._wanted = self._directory is not None and Path(playbook._file_name).name == PLAYBOOK

    def v2_runner_on_ok(self, result: Any) -> None:
        if not self._wanted:
            return
        task = result.task
        self._entries.append(
            {
                "host": result.host.get_name(),
                "role": task._role.get_name() if task._role else "",
                "task": str(result.task_fields.get("name") or task.name or task.action),
                "changed": bool(result.is_changed()),
                "handler": isinstance(task, Handler),
            }
        )

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if ignore_errors:
            self.v2_runner_on_ok(result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if not self._wanted or self._directory is None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        number = len(list(self._directory.glob("*.json"))) + 1
        kind = "check" if context.CLIARGS.get("check") else "run"
        path = self._directory / f"{number:02d}-{kind}.json"
        path.write_text(json.dumps(self._entries, indent=1) + "\n")
