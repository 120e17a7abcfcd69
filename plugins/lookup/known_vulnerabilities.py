# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: known_vulnerabilities
short_description: Find why a release of MLflow must not be deployed
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Compares releases with the dated list of serious vulnerabilities that ships with the role
    P(selfhosted.mlflow.mlflow_server#role), in C(files/known-vulnerabilities.yml).
  - What is not a release's number, such as a container's tag V(latest), is judged as having none.
options:
  _terms:
    description: The releases.
    required: true
    type: list
    elements: str
  role:
    description: The role that would deploy them, whose input C(ROLE_accepted_vulnerabilities) the texts name.
    type: str
    required: true
  part:
    description: Whether the server is to be run, or only the client library.
    type: str
    choices: [server, client]
    default: server
  accepted:
    description: Identifiers that are known and accepted, CVE or GHSA.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse a release with known holes
  ansible.builtin.assert:
    that: holes | length == 0
    fail_msg: "{{ holes | join('\n') }}"
  vars:
    holes: "{{ query('selfhosted.mlflow.known_vulnerabilities', '3.1.4', role='mlflow_server') }}"
"""

RETURN = r"""
_list:
  description: One text for each problem, saying what was found, why it is wrong and what to write instead.
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load
from ansible.plugins.lookup import LookupBase

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils import vulnerabilities

LIST = Path(__file__).resolve().parents[2] / "roles" / "mlflow_server" / "files" / "known-vulnerabilities.yml"


class LookupModule(LookupBase):
    """Lookup ``selfhosted.mlflow.known_vulnerabilities``."""

    def run(self, terms: list[str], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        if not vulnerabilities.HAS_PACKAGING:
            raise AnsibleError("the Python package packaging, which ansible-core requires, is not here: install it")
        role, part, accepted = (self.get_option(name) for name in ("role", "part", "accepted"))
        listed = vulnerabilities.parse(yaml_load(LIST.read_text(encoding="utf-8")))
        return [
            f"found: {problem}"
            for release in terms
            for problem in vulnerabilities.problems(listed, str(release), part, role, accepted)
        ]
