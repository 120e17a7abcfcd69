#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_directories
short_description: Have a service's directories, with owners given as numbers
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Makes any number of directories and gives them owner, group, mode and, where users share one, a
    POSIX default ACL. Never recursively, and never a directory that belongs to someone else and is not empty.
  - On a network mount works as the directory's owner, because the server takes root for nobody, in a child
    process with a deadline. What only the server's root can do, it fails with the command to run there.
  - Judges as well whether the names and numbers of accounts are free, and fails with everything that
    stands in the way. The accounts themselves are made by other modules.
options:
  directories:
    description: The directories, parents before what is in them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path. Missing parents are made with mode C(0755), owned by the one who makes them.
        type: str
        required: true
      uid:
        description: Number of the owner.
        type: int
        required: true
      gid:
        description: Number of the group.
        type: int
        required: true
      mode:
        description: Permission bits, an octal number in quotes.
        type: str
        required: true
      mounted:
        description:
          - Whether the directory is on a network mount. It is then never made while the mount is absent, which is
            an error; in check mode the mount may still be to come.
        type: bool
        default: false
      shared:
        description:
          - Whether users write in the directory. On local file systems it gets a default ACL that gives the group
            all rights, so that a umask of C(022) locks nobody out.
        type: bool
        default: false
      input:
        description: The variable that O(directories[].path) was given by, for messages.
        type: str
        default: a directory
  accounts:
    description: Users and groups whose names and numbers must belong together, or be free.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: What it is.
        type: str
        choices: [user, group]
        required: true
      name:
        description: Its name.
        type: str
        required: true
      number:
        description: Its number.
        type: int
        required: true
      name_input:
        description: The variable that the name was given by, for messages.
        type: str
        required: true
      number_input:
        description: The variable that the number was given by, for messages.
        type: str
        required: true
  member:
    description: User, as C(name), who is to be in a group, as C(group). Only looked at, for RV(missing).
    type: dict
    suboptions:
      name:
        description: Name of the user.
        type: str
        required: true
      group:
        description: Name of the group.
        type: str
        required: true
  timeout:
    description: Seconds that a share may take to answer.
    type: float
    default: 20
attributes:
  check_mode:
    description: Can predict changes without making them, also before the accounts exist.
    support: full
  diff_mode:
    description: Shows owner, group, mode and default ACL of every directory that changes.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
notes:
  - Needs root.
  - Run it with C(check_mode) set to V(true) as a preflight.
"""

EXAMPLES = r"""
- name: Have MLflow's directories
  selfhosted.mlflow.service_directories:
    directories:
      - path: /var/lib/mlflow
        uid: 850
        gid: 850
        mode: "0750"
      - path: /srv/mlflow/artifacts
        uid: 850
        gid: 851
        mode: "2770"
        mounted: true
        shared: true
"""

RETURN = r"""
pending:
  description: Whether there was anything to do or anything that could not be seen, which a call in check mode leaves.
  returned: always
  type: bool
missing:
  description: The accounts of O(accounts) that the host does not have yet, and the membership of O(member).
  returned: always
  type: list
  elements: str
  sample: [group mlflow, user mlflow, member mlflow of mlflow-users]
"""

import contextlib
import grp
import pwd
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import account_ids, directories, directory_plan
from ansible_collections.selfhosted.mlflow.plugins.module_utils.account_ids import Account, Known
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.directory_plan import Found, Plan, Wanted
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render


def _known(wanted: list[Account], number_of: Callable[[str], int], name_of: Callable[[int], str]) -> Known:
    """Ask for the wanted accounts one by one: a directory service may have a million."""
    numbers, names = {}, {}
    for account in wanted:
        with contextlib.suppress(KeyError):
            numbers[account.name] = number_of(account.name)
        with contextlib.suppress(KeyError, OverflowError):
            names[account.number] = name_of(account.number)
    return Known(numbers, names)


def _is_member(user: str, group: str) -> bool:
    try:
        return user in grp.getgrnam(group).gr_mem
    except KeyError:
        return False


def _missing(accounts: list[Account], users: Known, groups: Known, member: dict[str, str]) -> list[str]:
    found = list(account_ids.missing(accounts, users, groups))
    if member and not _is_member(member["name"], member["group"]):
        found.append(f"member {member['name']} of {member['group']}")
    return found


def _wanted(given: list[dict[str, Any]]) -> list[Wanted]:
    return [Wanted(**{**directory, "mode": int(directory["mode"], 8)}) for directory in given]


def _silent(wanted: Wanted, error: Exception) -> Problem:
    return Problem(
        f"{wanted.path}: {error}",
        "the file system it lies on doesn't do its work",
        "see that its mount answers: 'systemctl --failed', and on the NFS server port 2049/tcp and 'exportfs -v'",
    )


def _plan(module: AnsibleModule, wanted: Wanted) -> tuple[Found, Plan]:
    try:
        found = directories.inspect(wanted, module.params["timeout"])
    except (OSError, NoAnswerError) as error:
        silent = _silent(wanted, error)
        if wanted.mounted and module.check_mode:
            # The play to come may be the one that mends the server.
            return Found("missing"), Plan(wanted.path, warning=str(silent))
        return Found("missing"), Plan(wanted.path, problem=silent)
    return found, directory_plan.plan(wanted, found, module.check_mode)


def _plans(module: AnsibleModule, wanted: list[Wanted]) -> tuple[list[tuple[Wanted, Found, Plan]], list[Problem]]:
    work = [(directory, *_plan(module, directory)) for directory in wanted]
    return work, [steps.problem for _directory, _found, steps in work if steps.problem]


def _apply(module: AnsibleModule, work: list[tuple[Wanted, Found, Plan]]) -> None:
    for directory, found, steps in work:
        _apply_one(module, directory, found, steps)


def _apply_one(module: AnsibleModule, wanted: Wanted, found: Found, steps: Plan) -> None:
    try:
        directories.apply(wanted, found, steps, module.params["timeout"])
    except (OSError, NoAnswerError) as error:
        module.fail_json(msg=f"{wanted.path}: {error}; {directory_plan.remedy(wanted, found)}")


def main() -> None:
    account = {
        "kind": {"type": "str", "choices": ["user", "group"], "required": True},
        "name": {"type": "str", "required": True},
        "number": {"type": "int", "required": True},
        "name_input": {"type": "str", "required": True},
        "number_input": {"type": "str", "required": True},
    }
    directory = {
        "path": {"type": "str", "required": True},
        "uid": {"type": "int", "required": True},
        "gid": {"type": "int", "required": True},
        "mode": {"type": "str", "required": True},
        "mounted": {"type": "bool", "default": False},
        "shared": {"type": "bool", "default": False},
        "input": {"type": "str", "default": "a directory"},
    }
    member = {"name": {"type": "str", "required": True}, "group": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "required": True, "options": directory},
            "accounts": {"type": "list", "elements": "dict", "default": [], "options": account},
            "member": {"type": "dict", "options": member},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    accounts = [Account(**given) for given in module.params["accounts"]]
    users = _known(
        [given for given in accounts if given.kind == "user"],
        lambda name: pwd.getpwnam(name).pw_uid,
        lambda number: pwd.getpwuid(number).pw_name,
    )
    groups = _known(
        [given for given in accounts if given.kind == "group"],
        lambda name: grp.getgrnam(name).gr_gid,
        lambda number: grp.getgrgid(number).gr_name,
    )
    try:
        wanted = _wanted(module.params["directories"])
    except ValueError as error:
        module.fail_json(msg=f"a mode is no octal number in quotes: {error}")
    problems = account_ids.conflicts(accounts, users, groups) + directory_plan.check_paths(wanted)
    work: list[tuple[Wanted, Found, Plan]] = []
    if not problems:
        work, problems = _plans(module, wanted)
    if problems:
        module.fail_json(msg=render(problems))
    warnings = [steps.warning for _directory, _found, steps in work if steps.warning]
    for warning in warnings:
        module.warn(warning)
    changes = [item for item in work if item[2].changes]
    if not module.check_mode:
        _apply(module, changes)
    module.exit_json(
        changed=bool(changes),
        # What can't be seen before its share is mounted has to be looked at again.
        pending=bool(changes or warnings),
        missing=_missing(accounts, users, groups, module.params["member"]),
        diff=directories.diff(changes),
    )


if __name__ == "__main__":
    main()
