# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps bring MLflow's accounts and permissions from what they are to what is wished."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

EXPERIMENT, MODEL = KINDS = ("experiment", "registered_model")
ALWAYS = "always"
CREATE, DELETE, PASSWORD, ADMIN, GRANT, CHANGE, REVOKE = (
    "create",
    "delete",
    "set_password",
    "set_admin",
    "grant",
    "change",
    "revoke",
)
USERS, PERMISSIONS = PURGES = ("users", "permissions")


@dataclass(frozen=True)
class User:
    """An account as wished; ``admin`` is None where that is left as it is."""

    name: str
    password: str = field(default="", repr=False)
    admin: Optional[bool] = None
    present: bool = True
    update_password: str = ALWAYS


@dataclass(frozen=True, order=True)
class Thing:
    """What a permission is for: ``id`` is an experiment's number or a model's name, ``*`` is all of them."""

    kind: str
    id: str


@dataclass(frozen=True)
class Grant:
    """A permission as wished; ``name`` is what a person calls the thing."""

    user: str
    thing: Thing
    permission: str
    present: bool = True
    name: str = ""


@dataclass(frozen=True)
class Present:
    """What the server has: whether each user is an administrator, and the permission of each on each thing."""

    admins: Mapping[str, bool] = field(default_factory=dict)
    grants: Mapping[tuple[str, Thing], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wished:
    """All that is wished; ``purge`` names what else is to be removed: USERS, PERMISSIONS of the users named here."""

    users: Sequence[User] = ()
    grants: Sequence[Grant] = ()
    purge: Collection[str] = ()


@dataclass(frozen=True)
class Step:
    """One change; which of the other fields it has depends on ``action``."""

    action: str
    user: str
    password: str = field(default="", repr=False)
    admin: bool = False
    thing: Optional[Thing] = None
    permission: str = ""


def _of_user(user: User, present: Present, other_passwords: Collection[str]) -> Iterator[Step]:
    known = present.admins.get(user.name)
    if not user.present:
        if known is not None:
            yield Step(DELETE, user.name)
        return
    if known is None:
        yield Step(CREATE, user.name, user.password)
    elif user.name in other_passwords:
        yield Step(PASSWORD, user.name, user.password)
    if user.admin is not None and user.admin != bool(known):
        yield Step(ADMIN, user.name, admin=user.admin)


def _of_grant(grant: Grant, present: Present) -> Iterator[Step]:
    known = present.grants.get((grant.user, grant.thing), "")
    if not grant.present:
        if known:
            yield Step(REVOKE, grant.user, thing=grant.thing)
    elif known != grant.permission:
        yield Step(CHANGE if known else GRANT, grant.user, thing=grant.thing, permission=grant.permission)


def plan(wished: Wished, present: Present, asking: str, other_passwords: Collection[str]) -> list[Step]:
    """Return the steps in their order; ``other_passwords`` are the users whose password is not the wished one.

    ``asking`` is the account that will do it, which is never purged.
    """
    steps = [step for user in wished.users for step in _of_user(user, present, other_passwords)]
    named = {user.name for user in wished.users} | {grant.user for grant in wished.grants}
    gone = {step.user for step in steps if step.action == DELETE}
    if USERS in wished.purge:
        gone |= set(present.admins) - named - {asking}
        steps += [Step(DELETE, name) for name in sorted(set(present.admins) - named - {asking})]
    steps += [step for grant in wished.grants if grant.user not in gone for step in _of_grant(grant, present)]
    if PERMISSIONS in wished.purge:
        kept = {(grant.user, grant.thing) for grant in wished.grants}
        stray = {key for key in present.grants if key[0] in named - gone} - kept
        steps += [Step(REVOKE, user, thing=thing) for user, thing in sorted(stray)]
    return steps


def shown(present: Present, steps: Sequence[Step], names: Mapping[Thing, str]) -> tuple[str, str]:
    """Return what the steps touch, before and after, for a diff; of passwords only that they change."""
    before: dict[tuple[str, str], str] = {}
    after: dict[tuple[str, str], str] = {}
    for step in steps:
        if step.thing is None:
            key = (step.user, "")
            known = present.admins.get(step.user)
            if known is not None:
                before[key] = f"user {step.user}{' (administrator)' if known else ''}"
            told = after.get(key, before.get(key, f"user {step.user}"))
            if step.action == ADMIN:
                told = told.replace(" (administrator)", "") + (" (administrator)" if step.admin else "")
            if step.action in (CREATE, PASSWORD):
                told += " (new password)"
            after[key] = told if step.action != DELETE else ""
        else:
            what = f"{step.thing.kind} {names.get(step.thing, step.thing.id)}"
            key = (step.user, what)
            known_permission = present.grants.get((step.user, step.thing), "")
            if known_permission:
                before[key] = f"{what}: {step.user} {known_permission}"
            after[key] = f"{what}: {step.user} {step.permission}" if step.action != REVOKE else ""
    texts = ["".join(f"{side[key]}\n" for key in sorted(side) if side[key]) for side in (before, after)]
    return texts[0], texts[1]
