#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: client_preflight
short_description: Judge the inputs of the role mlflow_client against a host
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Looks at the host, changes nothing, and fails with all problems at once, each with what was found,
    why it is wrong and what to write instead.
options:
  tracking_uri:
    description: The address of the MLflow server, V(http) or V(https).
    type: str
    required: true
  shared_group:
    description: The group that may write artifacts.
    type: str
    required: true
  shared_gid:
    description: The number of O(shared_group).
    type: int
    required: true
  users:
    description: Users to be put into O(shared_group).
    type: list
    elements: str
    default: []
  ca_bundle:
    description: A file of CA certificates on the host; empty for the system's own.
    type: str
    default: ""
  umask:
    description: The umask of login shells, octal; empty to leave it alone.
    type: str
    default: ""
  environment:
    description: Further environment variables.
    type: dict
    default: {}
  credentials:
    description: Users of the host who are given an account at the server.
    type: list
    elements: str
    default: []
  password_kinds:
    description: What kind of password each of O(credentials) has; the passwords themselves stay on the controller.
    type: list
    elements: str
    default: []
  library:
    description: The client library that is to be installed; left out when none is.
    type: dict
    suboptions:
      version:
        description: The MLflow release.
        type: str
        required: true
      requirements:
        description: The user's own requirements file on the controller, or V("").
        type: str
        default: ""
      requirements_exist:
        description: Whether the controller has that file.
        type: bool
        default: true
      locks:
        description: File names of the locks that ship with the role.
        type: list
        elements: str
        default: []
      python:
        description: Absolute path of the interpreter.
        type: path
        required: true
      wheelhouse:
        description: Directory of wheels on this host, or V("").
        type: str
        default: ""
      keep_releases:
        description: How many old releases to keep.
        type: int
        default: 2
      driver:
        description: Driver of an artifact store that the lock is to bring along, or V("").
        type: str
        default: ""
  store_variables:
    description:
      - Names of the variables that this host is told of an artifact store. The module warns of files of the host that
        set variables of such stores otherwise. Left out when there is no store.
    type: list
    elements: str
  vulnerabilities:
    description: What the client library is known to be vulnerable by. The module warns of it.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
"""

EXAMPLES = r"""
- name: Refuse what would fail later
  selfhosted.mlflow.client_preflight:
    tracking_uri: http://mlflow.example.org:5000
    shared_group: mlflow-users
    shared_gid: 851
    users: [alice]
"""

RETURN = r"""
python_version:
  description: Version of the interpreter of O(library), as in the names of the locks.
  returned: success
  type: str
  sample: "3.11"
packages_missing:
  description: Whether the operating system's packages for making virtual environments must be installed.
  returned: success
  type: bool
problems:
  description: What is wrong.
  returned: failure
  type: list
  elements: dict
  contains:
    found:
      description: What was found.
      type: str
    why:
      description: Why it is wrong.
      type: str
    instead:
      description: What to write or do instead.
      type: str
"""

import contextlib
import glob
import grp
import os
import pwd
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import installation, stray_variables
from ansible_collections.selfhosted.mlflow.plugins.module_utils.account_ids import Known
from ansible_collections.selfhosted.mlflow.plugins.module_utils.client_rules import (
    ClientHost,
    ClientInputs,
    judge,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render


def _groups() -> Known:
    """Return this host's groups as its name service lists them."""
    known = grp.getgrall()
    return Known({group.gr_name: group.gr_gid for group in known}, {group.gr_gid: group.gr_name for group in known})


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _has_home(name: str) -> bool:
    try:
        return os.path.isdir(pwd.getpwnam(name).pw_dir)
    except KeyError:
        return False


def _look(module: AnsibleModule, inputs: ClientInputs) -> ClientHost:
    """Gather what the rules need to know of this host."""
    library = inputs.library
    return ClientHost(
        groups=_groups(),
        unknown_users=tuple(user for user in inputs.users if not _is_user(user)),
        homeless=tuple(sorted({user for user in inputs.credentials if not _has_home(user)})),
        ca_bundle_readable=os.path.isfile(inputs.ca_bundle) and os.access(inputs.ca_bundle, os.R_OK),
        python=installation.look(module.run_command, library) if library else None,
        wheelhouse_exists=library is not None and os.path.isdir(library.wheelhouse),
    )


_LIBRARY = {
    "version": {"type": "str", "required": True},
    "requirements": {"type": "str", "default": ""},
    "requirements_exist": {"type": "bool", "default": True},
    "locks": {"type": "list", "elements": "str", "default": []},
    "python": {"type": "path", "required": True},
    "wheelhouse": {"type": "str", "default": ""},
    "keep_releases": {"type": "int", "default": 2},
    "driver": {"type": "str", "default": ""},
}


def _as_inputs(given: dict[str, Any]) -> ClientInputs:
    """Return the module's parameters as the rules take them."""
    library = given["library"]
    frozen = {
        "users": tuple(given["users"]),
        "credentials": tuple(given["credentials"]),
        "password_kinds": tuple(given["password_kinds"]),
        "environment": tuple(sorted((name, str(value)) for name, value in given["environment"].items())),
        "library": library
        and installation.Install(role="mlflow_client", **{**library, "locks": tuple(library["locks"])}),
    }
    return ClientInputs(**{**given, **frozen})


def _environment_files() -> dict[str, str]:
    """Return what is in the files that set variables for everybody on this host, by path, but for the role's own."""
    paths = [path for pattern in stray_variables.FILES for path in sorted(glob.glob(pattern))]
    found = {}
    for path in paths:
        if path not in stray_variables.OURS:
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
                found[path] = stream.read()
    return found


def main() -> None:
    """Look, judge, and fail with everything that is wrong."""
    module = AnsibleModule(
        argument_spec={
            "tracking_uri": {"type": "str", "required": True},
            "shared_group": {"type": "str", "required": True},
            "shared_gid": {"type": "int", "required": True},
            "users": {"type": "list", "elements": "str", "default": []},
            "ca_bundle": {"type": "str", "default": ""},
            "umask": {"type": "str", "default": ""},
            "environment": {"type": "dict", "default": {}},
            "credentials": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "password_kinds": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "library": {"type": "dict", "options": _LIBRARY},
            "store_variables": {"type": "list", "elements": "str"},
            "vulnerabilities": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    for text in module.params.pop("vulnerabilities"):
        module.warn(text)
    told = module.params.pop("store_variables")
    if told is not None:
        for problem in stray_variables.problems(_environment_files(), told):
            module.warn(f"found: {problem}")
    inputs = _as_inputs(module.params)
    host = _look(module, inputs)
    problems = judge(inputs, host)
    if problems:
        module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])
    missing = host.python is not None and not host.python.complete
    module.exit_json(changed=False, python_version=str(host.python or ""), packages_missing=missing)


if __name__ == "__main__":
    main()
