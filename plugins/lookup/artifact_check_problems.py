# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact_check_problems
short_description: Judge the inputs of the role mlflow_artifact_check
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges what needs no look at any host, so that bad input is refused before anything is written.
options:
  _terms:
    description: The artifact root.
    type: list
    elements: str
    required: true
  server:
    description: The server's name in the inventory.
    type: str
    required: true
  hosts:
    description: All names in the inventory.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds after which a file server that does not answer is given up.
    type: float
    required: true
  grace:
    description: Seconds more to wait for an NFSv4 server in its grace period.
    type: float
    required: true
  umask:
    description: The umask of the users' sessions.
    type: str
    required: true
  watch_interval:
    description: How often the watch looks.
    type: str
    default: 15min
  watch_textfile_directory:
    description: Where the watch writes metrics.
    type: str
    default: ""
  deployment:
    description: Id of the deployment.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Refuse what can't be proved
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: >-
      {{ query('selfhosted.mlflow.artifact_check_problems', '/mnt/mlflow', server='mlflow',
               hosts=groups['all'], timeout=20, grace=100, umask='0022') }}
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_rules


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.artifact_check_problems``."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        problems = [
            *(path_rules.root_problem("mlflow_artifact_check_artifact_root", root) for root in terms),
            path_rules.server_problem(self.get_option("server"), self.get_option("hosts")),
            path_rules.seconds_problem("mlflow_artifact_check_timeout", self.get_option("timeout"), 0),
            path_rules.seconds_problem("mlflow_artifact_check_grace", self.get_option("grace"), -1),
            path_rules.umask_problem("mlflow_artifact_check_umask", self.get_option("umask")),
            *path_rules.watch_problems(
                self.get_option("watch_interval"),
                self.get_option("watch_textfile_directory"),
                self.get_option("deployment"),
            ),
        ]
        return [f"found: {problem}" for problem in problems if problem]
