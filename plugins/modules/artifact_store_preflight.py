#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_store_preflight
short_description: Ask an artifact store whether MLflow can use it
version_added: 1.0.0
description:
  - Looks at the files that a store is used with, and at no more without O(python).
  - With it, writes a small file below the root by MLflow's own code, lists, reads and deletes it, from this host, as
    the account that will do so, and leaves nothing behind.
  - Fails with what the store said.
  - In check mode the store is listed only, and what is wrong with it is a warning, for it may be set up by the same run.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  name:
    description: The input that holds the store, for messages.
    type: str
    default: mlflow_artifact_store
  uri:
    description: Address of the store, which may be shown.
    type: str
    required: true
  secret_uri:
    description: The same with a user's password, where MLflow takes it from there.
    type: str
  files:
    description: Files of this host that belong to it, by part.
    type: dict
    default: {}
  python:
    description: An interpreter that has MLflow and the store's driver.
    type: path
  user:
    description: Account that uses the store. Needed with O(python).
    type: str
  environment:
    description: Environment variables by which MLflow knows the store.
    type: dict
    default: {}
  secrets:
    description: Further ones that must not be shown.
    type: dict
    default: {}
  endpoint:
    description: Host and port that it answers at, or nothing where only its driver knows.
    type: list
    elements: str
    default: []
  deletes:
    description: Whether MLflow can delete in a store of this kind.
    type: bool
    default: true
  timeout:
    description: Seconds until all must be done.
    type: float
    default: 120
requirements:
  - MLflow and the store's driver, in the environment of O(python)
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Ask the store
  selfhosted.mlflow.artifact_store_preflight:
    uri: s3://bucket/mlflow
    python: /opt/mlflow/current/bin/python
    user: mlflow
    environment:
      AWS_DEFAULT_REGION: eu-west-1
    secrets:
      AWS_ACCESS_KEY_ID: "{{ vault_key }}"
      AWS_SECRET_ACCESS_KEY: "{{ vault_secret }}"
"""

RETURN = r"""
steps:
  description: What succeeded of C(open), C(list), C(write), C(find), C(read) and C(delete).
  returned: success
  type: list
  elements: str
problems:
  description: What is wrong, each with RV(ignore:found), RV(ignore:why) and RV(ignore:instead).
  returned: always
  type: list
  elements: dict
"""

import json
import os
from dataclasses import asdict
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_store_probe,
    artifact_store_probe_program,
    environment,
    program,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render

_LARGEST = 2**20
#: Shorter ones are no secrets, and texts would be unreadable without them.
_SHORTEST = 4


def content(path: str) -> Optional[str]:
    """Return what is in a file, None when it isn't there.  Raises OSError when it can't be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(_LARGEST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def ask(module: AnsibleModule, who: Optional[program.User]) -> dict[str, Any]:
    """Return what the store answered.  Raises OSError or ValueError when it could not be asked."""
    params = module.params
    given = {**params["environment"], **params["secrets"]}
    variables = {name: environment.as_text(value) for name, value in given.items()}
    host, port = (params["endpoint"][0], int(params["endpoint"][1])) if params["endpoint"] else ("", 0)
    asked = {
        "uri": params["secret_uri"] or params["uri"],
        "endpoint": [host, port] if host else None,
        "write": not module.check_mode,
        "deletes": params["deletes"],
    }
    command = [params["python"], "-I", "-c", program.source(artifact_store_probe_program)]
    try:
        ended = program.run(command, json.dumps(asked), {"PATH": os.defpath, **variables}, params["timeout"], who)
    except program.TooSlowError as error:
        return {"steps": [], "error": {"step": "", "name": "TimeoutError", "text": f"timed out: {error}"}, "left": ""}
    try:
        return artifact_store_probe.parse(ended.out)
    except ValueError as error:
        raise ValueError(f"{error}; {ended.err[-500:]}") from error


def problems_of_files(module: AnsibleModule) -> list[Problem]:
    """Return what is wrong with the store's files.  Raises OSError."""
    found = (
        artifact_store_probe.file_problem(module.params["name"], part, path, content(path))
        for part, path in module.params["files"].items()
    )
    return [problem for problem in found if problem]


def main() -> None:
    """Look, ask, and fail with everything that is wrong."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "mlflow_artifact_store"},
            "uri": {"type": "str", "required": True},
            "secret_uri": {"type": "str", "no_log": True},
            "files": {"type": "dict", "default": {}},
            "python": {"type": "path"},
            "user": {"type": "str"},
            "environment": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "endpoint": {"type": "list", "elements": "str", "default": []},
            "deletes": {"type": "bool", "default": True},
            "timeout": {"type": "float", "default": 120},
        },
        required_by={"python": ["user"]},
        supports_check_mode=True,
    )
    params = module.params
    try:
        problems, steps = problems_of_files(module), []
        if problems and not params["python"]:
            module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])
        if params["python"] and not problems:
            who = program.user(params["user"])
            if module.check_mode and (who is None or not os.access(params["python"], os.X_OK)):
                module.exit_json(changed=False, steps=[], problems=[])
            answer = ask(module, who)
            hidden = [value for value in map(str, params["secrets"].values()) if len(value) >= _SHORTEST]
            if params["secret_uri"]:
                # Whatever is left of an address without it names nobody.
                hidden.append(params["secret_uri"].partition("://")[2].rpartition("@")[0])
            problem = artifact_store_probe.judge(params["uri"], answer, hidden)
            problems, steps = [problem] if problem else [], answer["steps"]
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{params['uri']} could not be asked: {error}", problems=[])
    told = [asdict(problem) for problem in problems]
    if problems and not module.check_mode:
        module.fail_json(msg=render(problems, "before MLflow was told of the store"), problems=told)
    for problem in problems:
        module.warn(f"would be refused, unless this run changes it first: {problem}")
    module.exit_json(changed=False, steps=steps, problems=told)


if __name__ == "__main__":
    main()
