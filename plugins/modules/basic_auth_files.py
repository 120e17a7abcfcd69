#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: basic_auth_files
short_description: Write what MLflow's basic authentication is configured by
version_added: 1.0.0
description:
  - Writes C(basic_auth.ini), which MLflow finds by C(MLFLOW_AUTH_CONFIG_PATH), for root and a group (0640), and
    C(basic_auth.env) with the key that signs sessions, for root alone (0600), for systemd's C(EnvironmentFile=).
  - A password or key that is not given is made once, on the host, and stays as it is from then on.
  - No secret is shown, in a diff neither.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  directory:
    description: Absolute path of the directory of both files. It is made where it is absent, for everyone to enter.
    type: path
    required: true
  group:
    description: Group of the service, which reads C(basic_auth.ini).
    type: str
    required: true
  database_uri:
    description: Address of the accounts' database.
    type: str
    required: true
  admin_username:
    description: Name of the administrator.
    type: str
    default: admin
  admin_password:
    description: Password of the administrator, as it is. When empty, the one that is there, else a new one.
    type: str
    default: ""
  secret_key:
    description: The key that signs sessions. When empty, the one that is there, else a new one.
    type: str
    default: ""
  default_permission:
    description: What every account may do with what it was given no permission for.
    type: str
    choices: [READ, USE, EDIT, MANAGE, NO_PERMISSIONS]
    default: READ
  comment:
    description: What to say at the top of the files.
    type: str
    default: Ansible managed
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Secrets are hidden.
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Configure | Have the accounts' configuration
  selfhosted.mlflow.basic_auth_files:
    directory: /etc/mlflow
    group: mlflow
    database_uri: sqlite:////var/lib/mlflow/backend/accounts.db
  notify: Restart mlflow
"""

RETURN = r"""
config:
  description: The path of C(basic_auth.ini).
  returned: success
  type: str
  sample: /etc/mlflow/basic_auth.ini
"""

import os
import secrets
from dataclasses import fields
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import basic_auth, environment, private_file
from ansible_collections.selfhosted.mlflow.plugins.module_utils.private_file import Wanted

_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a secret of letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def main() -> None:
    """Parse, plan, compare, write."""
    permissions = ["READ", "USE", "EDIT", "MANAGE", "NO_PERMISSIONS"]
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "group": {"type": "str", "required": True},
            "database_uri": {"type": "str", "required": True, "no_log": True},
            "admin_username": {"type": "str", "default": "admin"},
            "admin_password": {"type": "str", "default": "", "no_log": True},
            "secret_key": {"type": "str", "default": "", "no_log": True},
            "default_permission": {"type": "str", "choices": permissions, "default": "READ"},
            "comment": {"type": "str", "default": "Ansible managed"},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    wished = basic_auth.Wished(**{each.name: given[each.name] for each in fields(basic_auth.Wished)})
    gid = environment.group_id(given["group"])
    ini, env = (os.path.join(given["directory"], f"basic_auth.{ending}") for ending in ("ini", "env"))
    try:
        before = [private_file.read(path) for path in (ini, env)]
        present = basic_auth.Files(*(found.text if found else "" for found in before))
        planned = basic_auth.plan(wished, present, new_secret, given["comment"])
        wanted = {ini: Wanted(planned.ini, 0o640, 0, gid), env: Wanted(planned.env, 0o600, 0, 0)}
        changed = before != list(wanted.values())
        if changed and not module.check_mode:
            if gid is None:
                raise OSError(f"there is no group {given['group']}")
            for path, file in wanted.items():
                private_file.write(path, file)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"could not write {ini} and {env}: {error}")
    module.exit_json(
        changed=changed,
        config=ini,
        diff={
            "before": basic_auth.shown(present, present),
            "after": basic_auth.shown(planned, present),
            "before_header": ini,
            "after_header": ini,
        },
    )


if __name__ == "__main__":
    main()
