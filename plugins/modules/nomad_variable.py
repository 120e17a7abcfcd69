#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_variable
short_description: Keep items in a Nomad variable
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Keeps named values in a variable of Nomad's, encrypted there, which the templates of a job can read.
  - Items that are not named here stay as they are. Values are never shown, not even in a diff.
  - Writes with Nomad's check-and-set, so that nothing is lost when somebody else writes at the same time.
options:
  path:
    description: The variable's path. A job may read what is at or below C(nomad/jobs/JOB) without a policy.
    type: str
    required: true
  items:
    description: Names and values.
    type: dict
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - selfhosted.mlflow.nomad
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Names only.
  platform:
    platforms: posix
    support: full
notes:
  - Where ACLs are on, the token needs the capabilities C(read) and C(write) for the path.
"""

EXAMPLES = r"""
- name: Keep the database's address where the job finds it
  selfhosted.mlflow.nomad_variable:
    path: nomad/jobs/mlflow
    items:
      MLFLOW_BACKEND_STORE_URI: "{{ vault_database_uri }}"
"""

RETURN = r"""
changed_items:
  description: The names of the items that were written.
  returned: success
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_api
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError

_NOT_FOUND = 404


def _known(api: NomadApi, path: str) -> Optional[dict[str, Any]]:
    try:
        found: dict[str, Any] = api.get(path)
    except NomadError as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    return found


def _shown(names: Mapping[str, Any], changed: Mapping[str, Any], word: str) -> str:
    return "".join(f"{name}: ({word if name in changed else 'not shown'})\n" for name in sorted(names))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "items": {"type": "dict", "required": True, "no_log": True},
            **nomad_api.arguments(),
        },
        supports_check_mode=True,
    )
    access = nomad_api.access(module.params)
    if access.problem():
        module.fail_json(msg=access.problem())
    api, path = NomadApi(access), f"/v1/var/{'/'.join(map(nomad_api.segment, module.params['path'].split('/')))}"
    wanted = {name: str(value) for name, value in module.params["items"].items()}
    try:
        known = _known(api, path)
        before: dict[str, str] = known["Items"] if known else {}
        changed = {name: value for name, value in wanted.items() if before.get(name) != value}
        if changed and not module.check_mode:
            body = {"Path": module.params["path"], "Items": {**before, **wanted}}
            api.put(path, body, {"cas": str(known["ModifyIndex"] if known else 0)})
    except NomadError as error:
        module.fail_json(msg=error.explain())
    header = f"Nomad variable {module.params['path']}"
    diff = {
        "before_header": header,
        "after_header": header,
        "before": _shown(before, changed, "another value"),
        "after": _shown({**before, **wanted}, changed, "new value"),
    }
    module.exit_json(changed=bool(changed), changed_items=sorted(changed), diff=diff)


if __name__ == "__main__":
    main()
