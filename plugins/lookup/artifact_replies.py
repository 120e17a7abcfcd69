# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact_replies
short_description: Collect what the clients of a play replied in an artifact check
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Collects RV(selfhosted.mlflow.artifact_path_probe#module:replies) of all hosts of the play that took part in a
    check, whether they still do or not.
options:
  _terms:
    description: The name of the check, as RV(selfhosted.mlflow.artifact_path_sentinel#module:run) gives it.
    required: true
    type: list
    elements: str
  register:
    description: The variable that the clients' results are registered in.
    type: str
    default: __mlflow_artifact_check_probe
"""

EXAMPLES = r"""
- name: Show who replied
  ansible.builtin.debug:
    msg: "{{ query('selfhosted.mlflow.artifact_replies', sentinel.run, register='probe') }}"
"""

RETURN = r"""
_list:
  description: The replies.
  type: list
  elements: dict
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.artifact_replies``."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        known = variables or {}
        name = self.get_option("register")
        replies = []
        for host in known["ansible_play_hosts_all"]:
            probe = known["hostvars"][host].get(name) or {}
            # Hosts that go at their own pace have a check each.
            if probe.get("run") in terms:
                replies += probe.get("replies", [])
        return replies
