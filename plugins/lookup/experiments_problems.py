# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: experiments_problems
short_description: Judge the inputs of the role mlflow_experiments
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges what needs no look at a server, so that bad input is refused before anything is changed.
options:
  _terms:
    description: Experiments, as the module M(selfhosted.mlflow.experiments) takes them.
    type: list
    elements: dict
    required: true
  shared_directories:
    description: Directories that the server and all its clients see at the same path.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse what MLflow would store wrongly
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: "{{ query('selfhosted.mlflow.experiments_problems', experiments, shared_directories=['/mnt/mlflow']) }}"
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.module_utils import experiments_rules


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.experiments_problems``."""

    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        experiments = [one for term in terms for one in (term if isinstance(term, list) else [term])]
        problems = experiments_rules.judge(experiments, self.get_option("shared_directories"))
        return [f"found: {problem}" for problem in problems]
