#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: environment_file
short_description: Write a service's environment without showing its secrets
version_added: 1.0.0
description:
  - Writes a file for systemd's C(EnvironmentFile=), which a shell can read as well.
  - The diff shows names and plain values. Of a secret it says only whether it changes.
  - The file belongs to root and a group.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  path:
    description: Absolute path of the file. Its directory is made where it is absent, for everyone to read.
    type: path
    required: true
  variables:
    description: Values by name that anybody may see.
    type: dict
    default: {}
  secrets:
    description: Values by name that appear in the file only. They win over O(variables) of the same name.
    type: dict
    default: {}
  group:
    description: Group that may read the file.
    type: str
    default: root
  mode:
    description: The file's mode. With V("0644") everyone can read it, so that it can't hold O(secrets).
    type: str
    choices: ["0640", "0644"]
    default: "0640"
  comment:
    description: What to say at the top of the file.
    type: str
    default: ""
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Values of secrets are hidden.
  platform:
    platforms: posix
notes:
  - Names and values are written as given, sorted by name; booleans as V(true) and V(false).
"""

EXAMPLES = r"""
- name: Configure | Write the environment
  selfhosted.mlflow.environment_file:
    path: /etc/mlflow/server.env
    group: mlflow
    variables:
      MLFLOW_PORT: 5000
    secrets:
      MLFLOW_BACKEND_STORE_URI: "{{ mlflow_server_backend_store_uri }}"
  notify: Restart mlflow
"""

RETURN = r"""
path:
  description: The file's path.
  returned: success
  type: str
  sample: /etc/mlflow/server.env
"""

import stat
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment, private_file


def main() -> None:
    """Parse, render, compare, write."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "variables": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str", "choices": ["0640", "0644"], "default": "0640"},
            "comment": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    path, mode = params["path"], int(params["mode"], 8)
    if params["secrets"] and mode & stat.S_IROTH:
        module.fail_json(msg=f"secrets can't be kept in {path} with mode {params['mode']}: use mode 0640")
    values = {**params["variables"], **params["secrets"]}
    try:
        text = environment.render(values, params["comment"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    gid = environment.group_id(params["group"])
    try:
        before, wanted = private_file.read(path), private_file.Wanted(text, mode, 0, gid)
        changed = before != wanted
        if changed and not module.check_mode:
            if gid is None:
                raise OSError(f"there is no group {params['group']}")
            private_file.write(path, wanted)
    except OSError as error:
        module.fail_json(msg=f"could not write {path}: {error}")
    old = before.text if before else ""
    module.exit_json(
        changed=changed,
        path=path,
        diff={
            "before": environment.censor(old, "", params["variables"]) if before else "",
            "after": environment.censor(text, old, params["variables"]),
            "before_header": path,
            "after_header": path,
        },
    )


if __name__ == "__main__":
    main()
