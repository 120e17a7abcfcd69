# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: artifact_store_problems
short_description: Judge an artifact store
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges what needs no look at any host, so that bad input is refused before anything is written. The store's secrets
    stay on the controller, and are in no text.
options:
  _terms:
    description: The stores. An empty one has no problems.
    type: list
    elements: dict
    required: true
  name:
    description: The input that holds the store.
    type: str
    required: true
  environment:
    description: The input that holds further environment variables.
    type: str
    required: true
  environment_names:
    description: Names of the variables in it.
    type: list
    elements: str
    default: []
  access:
    description: Who writes artifacts by the role's other input, V(proxied) or V(direct), or empty.
    type: str
    default: ""
  mount_point:
    description: Where a share with artifacts is declared to be mounted, or empty.
    type: str
    default: ""
  clients:
    description: The stores of the hosts that use the server, by host.
    type: dict
    default: {}
  in_shells:
    description: Whether shells read the environment that the store's variables are written to.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what MLflow could not store artifacts in
  ansible.builtin.assert:
    that: problems | length == 0
    fail_msg: "{{ problems | join('\n') }}"
  vars:
    problems: >-
      {{ query('selfhosted.mlflow.artifact_store_problems', mlflow_artifact_store, name='mlflow_artifact_store',
               environment='mlflow_server_environment', environment_names=mlflow_server_environment.keys() | list) }}
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from typing import Any, Optional

from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_store_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store_kinds import Setting


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.artifact_store_problems``."""

    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        setting = Setting(
            name=self.get_option("name"),
            environment=self.get_option("environment"),
            environment_names=tuple(self.get_option("environment_names")),
            access=self.get_option("access"),
            mount_point=self.get_option("mount_point"),
            clients=self.get_option("clients"),
            in_shells=self.get_option("in_shells"),
        )
        return [f"found: {problem}" for term in terms for problem in artifact_store_rules.problems(term, setting)]
