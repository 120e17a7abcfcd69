# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether fixed user and group ids are free on a host, or taken by someone else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\$?")
#: 65534 is nobody, to whom NFS maps strangers; -1 and -2 (as 16 and 32 bits) mean "no id" in system calls.
_RESERVED = frozenset((0, 65534, 65535, 4294967294, 4294967295))
_HIGHEST = 4294967295


@dataclass(frozen=True)
class Account:
    """A wanted user or group: ``kind`` is ``user`` or ``group``; the inputs tell where each value came from."""

    kind: str
    name: str
    number: int
    name_input: str
    number_input: str


@dataclass(frozen=True)
class Known:
    """The host's accounts of one kind, by name and by number."""

    numbers: Mapping[str, int]
    names: Mapping[int, str]


def _check_input(wanted: Account) -> list[Problem]:
    problems = []
    if not _NAME.fullmatch(wanted.name):
        problems.append(
            Problem(
                f"{wanted.name_input} is {wanted.name!r}",
                "not every tool takes it as the name of an account",
                "use lower-case letters, digits, '_' and '-', at most 31, such as mlflow",
            ),
        )
    if wanted.number in _RESERVED or not 0 < wanted.number < _HIGHEST:
        problems.append(
            Problem(
                f"{wanted.number_input} is {wanted.number}",
                "this number belongs to root, to nobody or to no one at all",
                "choose a free number below 1000 and set it for all hosts of the share",
            ),
        )
    return problems


def _check_host(wanted: Account, known: Known) -> list[Problem]:
    number, owner = known.numbers.get(wanted.name), known.names.get(wanted.number)
    if number is not None and number != wanted.number:
        return [
            Problem(
                f"{wanted.kind} {wanted.name} has the number {number} on this host, not {wanted.number}",
                "files carry the number, and an account whose number changes loses its files",
                f"set {wanted.number_input}: {number} for all hosts of the share, or choose another {wanted.name_input}",
            ),
        ]
    if owner is not None and owner != wanted.name:
        return [
            Problem(
                f"the number {wanted.number} belongs to {wanted.kind} {owner} on this host, not to {wanted.name}",
                f"{owner} would own MLflow's files",
                f"set {wanted.number_input} to a number that is free on all hosts of the share",
            ),
        ]
    return []


def _check_distinct(wanted: list[Account]) -> list[Problem]:
    return [
        Problem(
            f"{one.name_input} and {other.name_input} are {one.name} ({one.number}) and {other.name} ({other.number})",
            "the service's group reads its secrets, the shared group has every user in it",
            "give each a name and a number of its own",
        )
        for one, other in itertools.combinations(wanted, 2)
        if one.kind == other.kind and (one.name == other.name or one.number == other.number)
    ]


def conflicts(wanted: Iterable[Account], users: Known, groups: Known) -> list[Problem]:
    """Return why the accounts can't be made or used as they are wanted; nothing is touched."""
    accounts = list(wanted)
    problems = [problem for account in accounts for problem in _check_input(account)]
    problems += _check_distinct(accounts)
    for account in accounts:
        problems += _check_host(account, users if account.kind == "user" else groups)
    return problems


def missing(wanted: Iterable[Account], users: Known, groups: Known) -> tuple[str, ...]:
    """Return the names of the accounts that the host has not yet, each as ``user NAME`` or ``group NAME``."""
    return tuple(
        f"{account.kind} {account.name}"
        for account in wanted
        if account.name not in (users if account.kind == "user" else groups).numbers
    )
