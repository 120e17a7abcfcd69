#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logged_run_probe
short_description: Prove that runs logged on a host arrive at the MLflow server
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Logs a real run with a nested artifact of 64 KiB, as each of O(users), with the MLflow library that is installed
    on this host. Then asks the server's REST API to list the artifact and to serve it back, and compares the sha256.
  - What the library itself says proves nothing. With a local directory in the share's place it logs without an
    error, and lists what the server never got.
  - Proves direct, proxied and object store access alike.
  - Each run has an experiment of its own, named C(mlflow-artifact-check-RUN-XXXXXXXX).
    M(selfhosted.mlflow.logged_run_absent) removes them on the server.
  - Nothing is waited for without end. Findings don't fail the module; bad input does.
options:
  run:
    description: The name of the check, 16 hexadecimal digits.
    type: str
    required: true
  users:
    description:
      - The users to log as. To act as another user the module has to run as root.
      - None means the members of O(group).
    type: list
    elements: str
    default: []
  group:
    description: Whose members log when no O(users) are named.
    type: str
    default: ""
  exclude:
    description: Members of O(group) who don't, such as the server's own account.
    type: list
    elements: str
    default: []
  python:
    description: A Python on this host that has MLflow.
    type: path
    default: /opt/mlflow-client/current/bin/python
  user_environment:
    description:
      - Further environment variables of the program that logs, such as C(MLFLOW_TRACKING_USERNAME) and
        C(MLFLOW_TRACKING_PASSWORD), or what an object store wants.
      - It runs as the user, who can read them. Give what the user may know, never an administrator's password.
    type: dict
    default: {}
  umask:
    description: The umask of the program that logs, octal.
    type: str
    default: "0022"
  timeout:
    description: Seconds for logging one run. The first start of the library alone can take 20.
    type: float
    default: 120
  patience:
    description:
      - Seconds to wait for the server to list an artifact. A server that has the share from a file server elsewhere
        remembers for up to 30 seconds that a directory was empty.
    type: float
    default: 35
extends_documentation_fragment:
  - selfhosted.mlflow.tracking
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Logs nothing.
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
seealso:
  - module: selfhosted.mlflow.logged_run_absent
"""

EXAMPLES = r"""
- name: Log a run as alice and see whether it arrives
  selfhosted.mlflow.logged_run_probe:
    run: 0123456789abcdef
    tracking_uri: http://mlflow.example.org:5000
    users: [alice]
  register: logged

- name: The same with accounts; alice's program gets an ordinary one
  selfhosted.mlflow.logged_run_probe:
    run: 0123456789abcdef
    tracking_uri: https://ml.example.org/mlflow
    users: [alice]
    username: admin
    password: "{{ vault_mlflow_password }}"
    user_environment:
      MLFLOW_TRACKING_USERNAME: check
      MLFLOW_TRACKING_PASSWORD: "{{ vault_mlflow_check_password }}"
"""

RETURN = r"""
findings:
  description:
    - What was found, for each user. The classes are V(run_proved), V(run_failed), V(run_not_listed),
      V(run_not_served), V(run_differs), V(nobody_named), V(probe_failed), V(api_unreachable), V(api_refused),
      V(api_wrong_address) and V(api_failed).
  returned: success
  type: list
  elements: dict
  contains:
    class:
      description: The class.
      type: str
    severity:
      description: V(error), V(warning) or V(info).
      type: str
    message:
      description: What was found and what it leads to.
      type: str
    remedy:
      description: What to do.
      type: str
    evidence:
      description: What the judgement was made from.
      type: dict
    user:
      description: The user it is about.
      type: str
runs:
  description: What was logged, as far as it came.
  returned: success
  type: list
  elements: dict
  contains:
    user:
      description: The user.
      type: str
    run_id:
      description: The run; empty when none could be made.
      type: str
    experiment_id:
      description: The experiment; empty when none could be made.
      type: str
"""

import re
import secrets
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import logged_run, path_host, run_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.run_proof import Check
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import ARGUMENTS, Access


def _problem(params: dict[str, Any], access: Access) -> str:
    """Return what is wrong with the inputs, or ''."""
    names = [str(name) for name in params["user_environment"]]
    odd = [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
    rules = (
        (not access.problem(), access.problem()),
        (logged_run.is_run(params["run"]), "run must have 16 hexadecimal digits"),
        (params["timeout"] > 0, "timeout must be greater than 0 seconds"),
        (params["patience"] >= 0, "patience must not be negative"),
        (re.fullmatch(r"0?[0-7]{3}", params["umask"]), "umask must have three octal digits, such as 0022"),
        (not odd, f"user_environment has names that can't be variables: {', '.join(map(repr, odd))}"),
        (not any("\0" in str(value) for value in params["user_environment"].values()), "user_environment has a NUL"),
    )
    return next((problem for fine, problem in rules if not fine), "")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "run": {"type": "str", "required": True},
            "users": {"type": "list", "elements": "str", "default": []},
            "group": {"type": "str", "default": ""},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path", "default": "/opt/mlflow-client/current/bin/python"},
            "user_environment": {"type": "dict", "default": {}, "no_log": True},
            "umask": {"type": "str", "default": "0022"},
            "timeout": {"type": "float", "default": 120},
            "patience": {"type": "float", "default": 35},
        },
        supports_check_mode=True,
    )
    params = module.params
    access = Access(
        uri=params["tracking_uri"],
        username=params["username"],
        password=params["password"],
        token=params["token"],
        ca_bundle=params["ca_bundle"],
        duration=params["patience"] + run_proof.ANSWER_SECONDS,
    )
    problem = _problem(params, access)
    if problem:
        module.fail_json(msg=problem)
    if module.check_mode:
        module.exit_json(changed=False, findings=[], runs=[])
    users = params["users"] or [name for name in path_host.members(params["group"]) if name not in params["exclude"]]
    if not users:
        found = Finding("nobody_named", ERROR, "no user is named to log a run as", "set mlflow_artifact_check_users")
        module.exit_json(changed=False, findings=[found.as_dict(user="")], runs=[])
    check = Check(
        access=access,
        python=params["python"],
        environment={name: str(value) for name, value in params["user_environment"].items()},
        umask=int(params["umask"], 8),
        timeout=params["timeout"],
        patience=params["patience"],
    )
    findings: list[dict[str, Any]] = []
    runs: list[dict[str, str]] = []
    for user in users:
        name = logged_run.experiment_name(params["run"], secrets.token_hex(4))
        logged, finding = run_proof.prove(check, user, name)
        findings.append(finding.as_dict(user=user))
        runs.append({"user": user, "run_id": logged.run_id, "experiment_id": logged.experiment_id})
    # What is logged is removed again by logged_run_absent: nothing has changed for good.
    module.exit_json(changed=False, findings=findings, runs=runs)


if __name__ == "__main__":
    main()
