# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variable names are inputs of a role, and which only look like one.

Ansible never complains about a variable that nobody reads, so a misspelt
input would silently leave its default in force.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Variables that several roles read, in their defaults only.
COLLECTION_VARIABLES = frozenset(
    (
        "mlflow_accepted_vulnerabilities",
        "mlflow_admin_password",
        "mlflow_admin_username",
        "mlflow_artifact_access",
        "mlflow_artifact_root",
        "mlflow_artifact_store",
        "mlflow_backup_directory",
        "mlflow_basic_auth",
        "mlflow_ca_bundle",
        "mlflow_database",
        "mlflow_nfs_share",
        "mlflow_service_gid",
        "mlflow_service_group",
        "mlflow_service_uid",
        "mlflow_service_user",
        "mlflow_shared_gid",
        "mlflow_shared_group",
        "mlflow_tracking_uri",
        "mlflow_users",
        "mlflow_version",
    ),
)

#: How alike two names must be (difflib's ratio, 0 to 1) for one to be taken
#: for a slip of the other: high, for a stranger's own mlflow_* names are not ours to refuse.
_SLIP = 0.9


def _nearest(name: str, known: Iterable[str], likeness: float) -> Optional[str]:
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=likeness)
    return matches[0] if matches else None


def unknown_inputs(
    names: Iterable[str],
    role: str,
    options: Collection[str],
    other_roles: Iterable[str] = (),
) -> list[Problem]:
    """Return a problem for each variable that was meant as an input and isn't one.

    ``names`` are all the variables of a host, ``role`` is the role's name,
    ``options`` its inputs and ``other_roles`` the roles whose names it leaves alone.
    A name that starts with the role's own name must be an input; any other name is
    a problem only when it is nearly the name of an input or of a collection variable.
    """
    prefix = f"{role}_"
    foreign = tuple(f"{other}_" for other in other_roles if other != role)
    known = COLLECTION_VARIABLES.union(options)
    problems = []
    for name in sorted(set(names) - known):
        if name.startswith(prefix):
            # The common prefix would make all inputs look alike, so only the rest is compared.
            rest = _nearest(name[len(prefix) :], (option[len(prefix) :] for option in options), likeness=0.6)
            nearest = prefix + rest if rest else None
        elif name.startswith("mlflow_") and not name.startswith(foreign):
            nearest = _nearest(name, known, likeness=_SLIP)
            if nearest is None:
                continue
        else:
            continue
        problems.append(
            Problem(
                found=f"the variable {name} is set",
                why=f"role {role} has no such input, so its value would be silently ignored",
                instead=f"write {nearest}" if nearest else f"remove it; the README of {role} lists the inputs",
            ),
        )
    return problems
