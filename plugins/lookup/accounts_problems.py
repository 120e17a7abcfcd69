# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: accounts_problems
short_description: Judge the inputs of the role mlflow_accounts
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges what needs no look at a server, so that bad input is refused before anything is changed. No problem holds a
    password.
options:
  _terms:
    description: Users, as the module M(selfhosted.mlflow.accounts) takes them.
    type: list
    elements: dict
    required: true
  permissions:
    description: Permissions, as the module takes them.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Refuse what no server would take
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: "{{ query('selfhosted.mlflow.accounts_problems', users, permissions=permissions) }}"
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.module_utils import accounts_rules


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.accounts_problems``."""

    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        users = [user for term in terms for user in (term if isinstance(term, list) else [term])]
        return [f"found: {problem}" for problem in accounts_rules.judge(users, self.get_option("permissions"))]
