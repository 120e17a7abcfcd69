#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_preflight
short_description: See whether Nomad answers, and whether a token may do all that a job needs
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Asks Nomad for everything that M(selfhosted.mlflow.nomad_job), M(selfhosted.mlflow.nomad_variable) and
    M(selfhosted.mlflow.nomad_host_volumes) will ask it for, and fails with all rights that are missing, each with
    the policy that gives it. Nomad validates the job as well.
  - Changes nothing. Where Nomad tells a right only by being asked to write, it is asked for an index that no job and
    no variable has, which it refuses in any case; its agent writes such a refusal into its log.
options:
  job:
    description: The job as HCL 2 that is to be registered. Empty means that none is.
    type: str
    default: ""
  variable:
    description: Path of the Nomad variable that is to be read and written. Empty means that none is.
    type: str
    default: ""
  node:
    description: Whether the agent must be a Nomad client whose node can be looked at.
    type: bool
    default: false
extends_documentation_fragment:
  - selfhosted.mlflow.nomad
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  platform:
    platforms: posix
    support: full
notes:
  - C(read-logs) is looked at only while an allocation of the job runs, for Nomad tells it by no other.
"""

EXAMPLES = r"""
- name: Refuse a token that can't do it
  selfhosted.mlflow.nomad_preflight:
    token: "{{ vault_nomad_token }}"
    job: "{{ lookup('ansible.builtin.template', 'mlflow.nomad.hcl.j2') }}"
    variable: nomad/jobs/mlflow
    node: true
"""

RETURN = r"""
node:
  description: Id of the agent's node; empty when O(node=false).
  returned: success
  type: str
  sample: 57a1229f-adce-2858-ca4d-49e99fabb4ba
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_api, nomad_rights
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "job": {"type": "str", "default": ""},
            "variable": {"type": "str", "default": ""},
            "node": {"type": "bool", "default": False},
            **nomad_api.arguments(),
        },
        supports_check_mode=True,
    )
    given = module.params
    access = nomad_api.access(given)
    if access.problem():
        module.fail_json(msg=access.problem())
    api, problems, node = NomadApi(access), list[Problem](), ""
    try:
        if given["job"]:
            problems += nomad_rights.of_job(api, given["job"])
        if given["variable"]:
            problems += nomad_rights.of_variable(api, given["variable"])
        if given["node"]:
            node, missing = nomad_rights.of_node(api)
            problems += missing
    except NomadError as error:
        module.fail_json(msg=error.explain(), status=error.status, reason=error.reason)
    except ValueError as error:
        module.fail_json(msg=str(error))
    if problems:
        module.fail_json(msg=render(problems))
    module.exit_json(changed=False, node=node)


if __name__ == "__main__":
    main()
