#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: stored_locations_info
short_description: Find out where all experiments of an MLflow server keep their artifacts
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - MLflow stores an absolute location with every experiment, for good. After a change of the server's artifact
    root, older experiments go on writing to the old place.
  - Asks the server's REST API for all experiments, deleted ones too, in all workspaces, and groups them by the
    directory that they lie in. Tells which local directories besides O(artifact_root) are to be proved, and
    which experiments have a location that can't work.
  - Everything is bounded - each answer in seconds and bytes, the whole by O(duration). Runs are counted up to
    5000 for each directory.
  - Never changes anything.
options:
  artifact_root:
    description: The directory that is proved anyway. Locations in it need no further proof.
    type: path
    required: true
  max_roots:
    description: How many directories besides O(artifact_root) are returned in RV(roots).
    type: int
    default: 20
  timeout:
    description: Seconds to wait for one answer.
    type: float
    default: 30
  duration:
    description: Seconds that all questions together may take.
    type: float
    default: 300
extends_documentation_fragment:
  - selfhosted.mlflow.tracking
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
notes:
  - What it finds it returns in RV(findings); it fails for bad input only.
  - Not looked at are the locations of single runs, of logged models and of registered model versions. MLflow
    derives them from their experiment's location when they are made, so that they differ only where an
    experiment's location was changed afterwards, in the database or by C(mlflow db move-resources).
  - An experiment of an account without permissions is invisible to it. So is every experiment to an account with
    none, which is why that is an error.
"""

EXAMPLES = r"""
- name: Find the locations that lie elsewhere
  selfhosted.mlflow.stored_locations_info:
    tracking_uri: http://mlflow.example.org:5000
    artifact_root: /mnt/mlflow
  register: locations

- name: The same, of a server with accounts behind TLS, below a prefix
  selfhosted.mlflow.stored_locations_info:
    tracking_uri: https://ml.example.org/mlflow
    artifact_root: /mnt/mlflow
    username: admin
    password: "{{ vault_mlflow_password }}"
    ca_bundle: /etc/ssl/certs/example-ca.pem
  register: locations

- name: Fail when some can't be used
  ansible.builtin.assert:
    that: locations.findings | selectattr('severity', 'eq', 'error') | length == 0
    fail_msg: "{{ locations.findings }}"
"""

RETURN = r"""
findings:
  description:
    - What was found. The classes are V(stored_in_root), V(stored_elsewhere), V(stored_not_proved),
      V(stored_unusable), V(stored_indirect), V(stored_proxied), V(stored_remote), V(no_experiments_visible),
      V(partial_view), V(api_unreachable), V(api_refused), V(api_wrong_address) and V(api_failed).
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
roots:
  description: Local directories besides O(artifact_root) that must be proved, O(max_roots) at most.
  returned: success
  type: list
  elements: str
  sample: [/old/artifacts]
experiments:
  description: Experiments and their runs by place.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(local), V(proxied), V(remote) or V(unusable).
      type: str
    root:
      description: The directory, the beginning of the URIs, or why it is unusable.
      type: str
    experiments:
      description: How many experiments.
      type: int
    deleted:
      description: How many of them are deleted.
      type: int
    runs:
      description: How many runs; null where they weren't counted.
      type: int
    runs_more:
      description: Whether there are more than that.
      type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_root,
    bounded,
    location_audit,
    location_findings,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import ARGUMENTS, Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

#: What is left to the child after its own deadline to say so.
_GRACE_SECONDS = 5.0


def _look(access: Access, root: str, limit: int) -> dict[str, Any]:
    """Ask the server and judge; what keeps it from answering is a finding as well."""
    account = f"the account {access.username}" if access.username else "the owner of the token"
    try:
        audit = location_audit.ask(TrackingApi(access), root, limit)
    except ApiError as error:
        return {"findings": [error.finding().as_dict()], "roots": [], "experiments": []}
    who = account if access.has_credentials else "a caller without credentials"
    return {
        "findings": [finding.as_dict() for finding in location_findings.judge(audit, who, root, limit)],
        "roots": [group.root for group in location_findings.to_prove(audit.locations, limit)[0]],
        "experiments": location_findings.summary(audit, root),
    }


def _bounded(access: Access, root: str, limit: int) -> dict[str, Any]:
    """Look in a child: a name that can't be resolved, or headers that drip, know no deadline."""
    try:
        result: dict[str, Any] = bounded.run(lambda: _look(access, root, limit), access.duration + _GRACE_SECONDS)
    except bounded.NoAnswerError as error:
        finding = Finding(
            "api_unreachable",
            ERROR,
            f"{access.uri}: {error}",
            "check the name service of this host and the server's answers with curl",
            {"reason": "timed_out"},
        )
        return {"findings": [finding.as_dict()], "roots": [], "experiments": []}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "artifact_root": {"type": "path", "required": True},
            "max_roots": {"type": "int", "default": 20},
            "timeout": {"type": "float", "default": 30},
            "duration": {"type": "float", "default": 300},
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
        timeout=params["timeout"],
        duration=params["duration"],
    )
    spelling = artifact_root.path_problem("artifact_root", params["artifact_root"])
    problem = access.problem() or (str(spelling) if spelling else "")
    if not problem and params["max_roots"] < 0:
        problem = "max_roots must not be negative"
    if problem:
        module.fail_json(msg=problem)
    module.exit_json(changed=False, **_bounded(access, params["artifact_root"], params["max_roots"]))


if __name__ == "__main__":
    main()
