#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: client_credentials
short_description: Give users of a host their name and password for MLflow
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Writes C(~/.mlflow/credentials), where MLflow's client finds them, into the home of each user, for that user alone
    (0600, in a directory of 0700), and with the rights of that user.
  - What else the file says is kept, but for comments. No password is shown, in a diff neither.
options:
  credentials:
    description: Whom to give what.
    type: list
    elements: dict
    required: true
    suboptions:
      user:
        description: A user of the host, who has a home there.
        type: str
        required: true
      username:
        description: Name of the account at the MLflow server. When empty, that of O(credentials[].user).
        type: str
        default: ""
      password:
        description: The account's password.
        type: str
        required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Says whose file changes, not what is in it.
  platform:
    platforms: posix
    support: full
"""

EXAMPLES = r"""
- name: Give Alice her account
  selfhosted.mlflow.client_credentials:
    credentials:
      - user: alice
        password: "{{ vault_alice }}"
"""

RETURN = r"""
changed_users:
  description: Whose file was written, or would be.
  returned: success
  type: list
  elements: str
"""

import os
import pwd
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import client_credentials, private_file

_MODE = 0o600
_DIRECTORY_MODE = 0o700


def write(account: pwd.struct_passwd, username: str, password: str, check_mode: bool) -> bool:
    """Have one user's file as it is to be, and return whether it had to be changed.  Raises OSError."""
    path = os.path.join(account.pw_dir, client_credentials.FILE)
    with client_credentials.acting_as(account):
        present = private_file.read(path)
        text = client_credentials.render(present.text if present else "", username, password)
        wanted = private_file.Wanted(text, _MODE, account.pw_uid, present.gid if present else account.pw_gid)
        if present == wanted:
            return False
        if not os.path.isdir(account.pw_dir):
            raise OSError(f"there is no directory {account.pw_dir}")
        if not check_mode:
            if not os.path.isdir(os.path.dirname(path)):
                os.mkdir(os.path.dirname(path), _DIRECTORY_MODE)
            private_file.write(path, wanted)
        return True


def main() -> None:
    """Write each file, and say whose."""
    options = {
        "user": {"type": "str", "required": True},
        "username": {"type": "str", "default": ""},
        "password": {"type": "str", "required": True, "no_log": True},
    }
    module = AnsibleModule(
        argument_spec={
            # Its passwords are secret, not the list: that would hide the users' names everywhere.
            "credentials": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": options,
                "no_log": False,
            },
        },
        supports_check_mode=True,
    )
    given: list[dict[str, Any]] = module.params["credentials"]
    changed = []
    for one in given:
        try:
            account = pwd.getpwnam(one["user"])
            if write(account, one["username"] or one["user"], one["password"], module.check_mode):
                changed.append(one["user"])
        except KeyError:
            module.fail_json(msg=f"there is no user {one['user']} on this host", changed=bool(changed))
        except OSError as error:
            module.fail_json(msg=f"could not write the credentials of {one['user']}: {error}", changed=bool(changed))
    module.exit_json(
        changed=bool(changed),
        changed_users=changed,
        diff={
            "before": "",
            "after": "".join(f"~{user}/{client_credentials.FILE}: (hidden)\n" for user in changed),
            "before_header": "credentials",
            "after_header": "credentials",
        },
    )


if __name__ == "__main__":
    main()
