# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: nomad_problems
short_description: Judge the inputs of the role mlflow_nomad
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges what needs no look at any host, so that bad input is refused before anything is written.
options:
  _terms:
    description:
      - The role's inputs by their names without the role's own, such as C(job) and C(driver), and C(clients_root).
        Of C(secrets) only the names.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what Nomad can't run
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: "{{ query('selfhosted.mlflow.nomad_problems', job) }}"
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_job_rules import Job


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.nomad_problems``."""

    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        return [f"found: {problem}" for term in terms for problem in nomad_job_rules.judge(Job(**term))]
