# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which wishes for users and permissions can't be right, whatever the server has.  No problem holds a password."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import password_kind
from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_plan import KINDS
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

Given = Mapping[str, Any]


def _absent(given: Given) -> bool:
    return given.get("state") == "absent"


def _of_user(user: Given) -> Iterator[Problem]:
    name = str(user.get("name") or "")
    if not name.strip() or name != name.strip() or ":" in name or not name.isprintable():
        yield Problem(
            f"users has the name {name!r}",
            "it is sent before a colon, and compared as text",
            "use letters, digits and the like, without a colon or blanks at the ends",
        )
    wrong = password_kind.problem(f"the password of {name or 'a user'}", password_kind.kind(user.get("password")))
    if wrong and not _absent(user):
        yield wrong


def _of_permission(permission: Given) -> Iterator[Problem]:
    named = [kind for kind in KINDS if permission.get(kind)]
    if len(named) != 1:
        yield Problem(
            f"a permission of {permission.get('user')!r} names {' and '.join(named) or 'nothing'}",
            "a permission is for one experiment or one registered model",
            "give either experiment or registered_model",
        )
    if not permission.get("permission") and not _absent(permission):
        yield Problem(
            f"a permission of {permission.get('user')!r} on {permission.get(named[0] if named else '')!r} is empty",
            "there is none to give",
            "write READ, USE, EDIT, MANAGE, DENY or NO_PERMISSIONS, or state: absent",
        )


def judge(users: Sequence[Given], permissions: Sequence[Given], admin: str = "") -> list[Problem]:
    """Return everything that is wrong; ``admin`` is the account that will ask, '' if not known yet."""
    problems = [problem for user in users for problem in _of_user(user)]
    problems += [problem for permission in permissions for problem in _of_permission(permission)]
    counted = Counter(str(user.get("name")) for user in users)
    problems += [
        Problem(f"the user {name!r} is there {count} times", "one wish would undo the other", "leave one")
        for name, count in counted.items()
        if count > 1
    ]
    things = Counter((str(one.get("user")), *(str(one.get(kind) or "") for kind in KINDS)) for one in permissions)
    problems += [
        Problem(
            f"{user!r} has {count} permissions on {experiment or model!r}",
            "one wish would undo the other",
            "leave one",
        )
        for (user, experiment, model), count in things.items()
        if count > 1
    ]
    gone = {str(user.get("name")) for user in users if _absent(user)}
    problems += [
        Problem(f"{name!r} is to be absent, and has a permission", "nobody would have it", "take the permission out")
        for name in sorted(gone & {str(one.get("user")) for one in permissions if not _absent(one)})
    ]
    for user in users:
        if (
            admin
            and user.get("name") == admin
            and (_absent(user) or user.get("password") or user.get("admin") is False)
        ):
            problems.append(
                Problem(
                    f"the user {admin!r} is the administrator who asks",
                    "an account that took its own rights away could not go on, and its password is the server's matter",
                    "change mlflow_server_admin_password, or let another administrator ask",
                )
            )
    return problems
