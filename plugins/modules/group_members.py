#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: group_members
short_description: Have a local group with a fixed number and with these users in it
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Creates the group when it is absent and adds the users to it, all in one task.
  - M(ansible.builtin.user) needs a task for each user, and fails in check mode while the group doesn't exist yet.
  - Never removes a member, never changes the number of an existing group.
options:
  name:
    description: The group's name.
    type: str
    required: true
  gid:
    description:
      - The group's number. Must be the same on all hosts of one share,
        for NFS with C(sec=sys) compares numbers, not names.
    type: int
    required: true
  members:
    description: Existing users to add to the group.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
    support: full
seealso:
  - module: ansible.builtin.group
  - module: ansible.builtin.user
"""

EXAMPLES = r"""
- name: Let alice and bob write artifacts
  selfhosted.mlflow.group_members:
    name: mlflow-users
    gid: 851
    members: [alice, bob]
"""

RETURN = r"""
added:
  description: The users that were added, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [bob]
"""

import grp
import pwd
from typing import Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils.membership import Group, plan


def _current(name: str) -> Optional[Group]:
    """Return the group as this host knows it, with those who have it as primary group."""
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        return None
    primary = {user.pw_name for user in pwd.getpwall() if user.pw_gid == entry.gr_gid}
    return Group(name=name, gid=entry.gr_gid, members=frozenset(entry.gr_mem) | primary)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "gid": {"type": "int", "required": True},
            "members": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    current = _current(module.params["name"])
    try:
        change = plan(current, module.params["name"], module.params["gid"], module.params["members"])
    except ValueError as error:
        module.fail_json(msg=str(error))
    if not module.check_mode:
        for command in change.commands:
            module.run_command(list(command), check_rc=True)
    module.exit_json(
        changed=bool(change.commands),
        added=list(change.added),
        diff={"before": change.before, "after": change.after},
    )


if __name__ == "__main__":
    main()
