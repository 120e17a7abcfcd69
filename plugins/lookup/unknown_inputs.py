# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_inputs
short_description: Find variables that were meant as an input of a role and are not
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Compares the names of all variables of the host with the inputs in the role's
    C(meta/argument_specs.yml).
  - Ansible ignores a variable that nobody reads, so a misspelt input would leave its default in force.
options:
  _terms:
    description: The path of the role, usually C(role_path).
    required: true
    type: list
    elements: path
"""

EXAMPLES = r"""
- name: Refuse inputs this role does not know
  ansible.builtin.assert:
    that: query('selfhosted.mlflow.unknown_inputs', role_path) | length == 0
    fail_msg: "{{ query('selfhosted.mlflow.unknown_inputs', role_path) | join('\n') }}"
"""

RETURN = r"""
_list:
  description: One text for each unknown name, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

import os
from typing import Any, Optional

import yaml
from ansible.errors import AnsibleLookupError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils.inputs import unknown_inputs


def _options(role_path: str) -> set[str]:
    """Return the names of the inputs in a role's argument_specs.yml."""
    path = os.path.join(role_path, "meta", "argument_specs.yml")
    try:
        with open(path, encoding="utf-8") as stream:
            return set(yaml_load(stream)["argument_specs"]["main"]["options"])
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise AnsibleLookupError(f"{path} doesn't tell the role's inputs: {error}") from error


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.unknown_inputs``."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        messages = []
        for role_path in terms:
            directory, role = os.path.split(os.path.normpath(role_path))
            problems = unknown_inputs(variables or (), role, _options(role_path), os.listdir(directory))
            messages += [str(problem) for problem in problems]
        return messages
