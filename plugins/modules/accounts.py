#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: accounts
short_description: Have the users of an MLflow server, and what they may do
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Creates, changes and deletes accounts of MLflow's basic authentication, and their permissions on experiments and
    registered models, in one go.
  - All names are looked up and everything is judged before anything is changed.
  - No password is shown, in a diff neither. Whether one has to be changed is found out by logging in with it.
options:
  users:
    description: Accounts. Those that are not named stay as they are, but for O(purge).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The password, of 12 characters or more. An account that is to be made needs one.
        type: str
        default: ""
      update_password:
        description: Whether an account that is there gets the password, too, or keeps what its owner has set.
        type: str
        choices: [always, on_create]
        default: always
      admin:
        description: Whether it is an administrator. Left out, a new one is none, and others stay as they are.
        type: bool
      state:
        description: With V(absent) the account is deleted, with its permissions and not with its runs.
        type: str
        choices: [present, absent]
        default: present
  permissions:
    description: What users may do. Permissions that are not named stay as they are, but for O(purge).
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: The user's name.
        type: str
        required: true
      experiment:
        description: Name of the experiment; V(*) is every one, on servers with roles such as 3.17.2.
        type: str
        default: ""
      registered_model:
        description: Name of the registered model, instead of O(permissions[].experiment).
        type: str
        default: ""
      permission:
        description:
          - The permission. V(USE) is known to servers with roles only. V(DENY) and V(NO_PERMISSIONS) are the same, the
            former on servers with roles, the latter on older ones; each is written as the server knows it.
        type: str
        choices: [READ, USE, EDIT, MANAGE, DENY, NO_PERMISSIONS]
      state:
        description: With V(absent) the user has none of its own, and the server's default counts.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description:
      - What is removed that is not named here. V(users) deletes all other accounts but the one that asks, on servers
        with roles such as 3.17.2. V(permissions) takes from the users that are named here all other permissions on
        experiments and models, those on their own ones included.
    type: list
    elements: str
    choices: [users, permissions]
    default: []
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - selfhosted.mlflow.administrator
  - selfhosted.mlflow.tracking
attributes:
  check_mode:
    support: full
    details: Where no server answers (yet), everything is taken to be absent.
  diff_mode:
    support: full
    details: What is changed, without passwords.
  platform:
    platforms: posix
notes:
  - Tested with MLflow 3.17.2, 3.1.4 and 2.22.5.
"""

EXAMPLES = r"""
- name: Have our users
  selfhosted.mlflow.accounts:
    tracking_uri: http://localhost:5000
    admin_config: /etc/mlflow/basic_auth.ini
    users:
      - name: alice
        password: "{{ vault_alice }}"
      - name: bob
        password: "{{ vault_bob }}"
        update_password: on_create
      - name: mallory
        state: absent
    permissions:
      - user: alice
        experiment: churn
        permission: MANAGE
      - user: bob
        registered_model: churn
        permission: READ
"""

RETURN = r"""
steps:
  description: What was changed, or would be, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: >-
        V(create), V(delete), V(set_password) or V(set_admin) of a user, V(grant), V(change) or V(revoke) of a
        permission.
      type: str
    user:
      description: The user's name.
      type: str
"""

from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import accounts_plan, accounts_rules, administrator
from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_api import Accounts
from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_plan import Grant, Present, Thing, User, Wished
from ansible_collections.selfhosted.mlflow.plugins.module_utils.administrator import NOBODY_THERE, RefusedError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_USER = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "default": "", "no_log": True},
    "update_password": {"type": "str", "choices": ["always", "on_create"], "default": "always", "no_log": False},
    "admin": {"type": "bool"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
_PERMISSION = {
    "user": {"type": "str", "required": True},
    "experiment": {"type": "str", "default": ""},
    "registered_model": {"type": "str", "default": ""},
    "permission": {"type": "str", "choices": ["READ", "USE", "EDIT", "MANAGE", "DENY", "NO_PERMISSIONS"]},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def wished_users(given: dict[str, Any]) -> list[User]:
    """Return the users as the plan takes them."""
    return [
        User(one["name"], one["password"], one["admin"], one["state"] == "present", one["update_password"])
        for one in given["users"]
    ]


def wished_grants(given: dict[str, Any], accounts: Optional[Accounts]) -> list[Grant]:
    """Return the permissions with what they are for; without a server, by its name.  Raises RefusedError, ApiError."""
    grants, problems = [], []
    for one in given["permissions"]:
        kind = accounts_plan.MODEL if one["registered_model"] else accounts_plan.EXPERIMENT
        name, present = one[kind], one["state"] == "present"
        thing = accounts.thing(kind, name) if accounts else Thing(kind, name)
        permission = one["permission"] or ""
        if thing is not None:
            permission = accounts.permission(permission) if accounts else permission
            grants.append(Grant(one["user"], thing, permission, present, name))
        elif present:
            problems.append(
                Problem(
                    f"{one['user']!r} is to have {permission} on the {kind.replace('_', ' ')} {name!r}, which isn't there",
                    "a permission is for something that MLflow has",
                    "mend the name (case counts), or have it made first",
                )
            )
    if problems:
        raise RefusedError(problems)
    return grants


def unknown(wished: Wished, present: Present) -> list[Problem]:
    """Return what is wrong with wishes for users that the server doesn't have."""
    new = {user.name: user for user in wished.users if user.present and user.name not in present.admins}
    lacking = [name for name, user in new.items() if not user.password]
    strangers = {grant.user for grant in wished.grants if grant.present} - set(present.admins) - set(new)
    return [
        *(
            Problem(f"{name!r} is new, and has no password", "MLflow makes no account without", "give it a password")
            for name in sorted(lacking)
        ),
        *(
            Problem(
                f"a permission is for {name!r}, whom the server doesn't know", "nobody would have it", "add the user"
            )
            for name in sorted(strangers)
        ),
    ]


def look(
    given: dict[str, Any], access: Access, check_mode: bool
) -> tuple[Optional[Accounts], Wished, Present, set[str]]:
    """Ask for what there is.  Raises RefusedError, ApiError."""
    users, purge = wished_users(given), given["purge"]
    try:
        accounts = Accounts.of(TrackingApi(access), access.username)
    except ApiError as error:
        if check_mode and error.reason in NOBODY_THERE:
            return None, Wished(users, wished_grants(given, None), purge), Present(), set()
        raise
    if accounts_plan.USERS in purge and not accounts.roles:
        raise RefusedError(
            [
                Problem(
                    "purge has users, and this server can't list them",
                    "releases before roles tell of a user only by its name",
                    "name the accounts that are to go with state: absent, or upgrade to such as 3.17.2",
                )
            ]
        )
    wished = Wished(users, wished_grants(given, accounts), purge)
    named = {user.name for user in users}
    concerned = {grant.user for grant in wished.grants} | (named if accounts_plan.PERMISSIONS in purge else set())
    present = accounts.present(named, concerned)
    problems = unknown(wished, present)
    if problems:
        raise RefusedError(problems)
    return accounts, wished, present, accounts.other_passwords(users, present.admins)


def main() -> None:
    """Judge, look, plan, do."""
    module = AnsibleModule(
        argument_spec={
            **administrator.ADMINISTRATOR,
            "users": {"type": "list", "elements": "dict", "default": [], "options": _USER},
            "permissions": {"type": "list", "elements": "dict", "default": [], "options": _PERMISSION},
            "purge": {"type": "list", "elements": "str", "choices": ["users", "permissions"], "default": []},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    done = 0
    try:
        access = administrator.access(given, module.check_mode)
        if access.problem():
            module.fail_json(msg=access.problem())
        problems = accounts_rules.judge(given["users"], given["permissions"], access.username)
        if problems:
            raise RefusedError(problems)
        accounts, wished, present, other_passwords = look(given, access, module.check_mode)
        steps = accounts_plan.plan(wished, present, access.username, other_passwords)
        if accounts and not module.check_mode:
            for step in steps:
                accounts.do(step)
                done += 1
    except RefusedError as error:
        module.fail_json(msg=str(error))
    except ApiError as error:
        so_far = f"\n    so far: {done} of {len(steps)} changes were made; run it again" if done else ""
        module.fail_json(msg=f"found: {error}.\n    instead: {error.remedy}.{so_far}")
    before, after = accounts_plan.shown(present, steps, {grant.thing: grant.name for grant in wished.grants})
    module.exit_json(
        changed=bool(steps),
        steps=[{"action": step.action, "user": step.user} for step in steps],
        diff={"before": before, "after": after, "before_header": "accounts", "after_header": "accounts"},
    )


if __name__ == "__main__":
    main()
