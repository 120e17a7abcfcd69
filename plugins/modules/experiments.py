#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: experiments
short_description: Have experiments on an MLflow server, with their artifact locations and tags
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Creates, tags, restores and deletes experiments of a tracking server in one go.
  - MLflow keeps the artifact location that an experiment is made with for good, as it was written. So a location that
    it would store wrongly is refused, and so is another one than an experiment has.
  - All names are looked up and everything is judged before anything is changed.
options:
  experiments:
    description: Experiments. Those that are not named stay as they are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The experiment's name.
        type: str
        required: true
      artifact_location:
        description:
          - Where the artifacts of its runs go - C(mlflow-artifacts:/NAME) through the server, C(s3://BUCKET/NAME) or the
            like, or a directory in one of O(shared_directories), of at most 157 characters.
          - Empty leaves a new one to the server's root, and one that is there where it is.
        type: str
        default: ""
      tags:
        description: Texts by their keys. Tags that are not named stay as they are, but for O(experiments[].purge_tags).
        type: dict
        default: {}
      purge_tags:
        description:
          - Whether other tags are deleted, but for MLflow's own, which begin with C(mlflow.). Servers such as 3.17.2 can
            do so, and 3.1.4 or older can't.
        type: bool
        default: false
      restore:
        description:
          - Whether one that was deleted is brought back, with all its runs, those that were deleted before it included.
            Otherwise it is refused.
        type: bool
        default: false
      state:
        description: With V(absent) the experiment is deleted as MLflow does it, so that it can be restored.
        type: str
        choices: [present, absent]
        default: present
  shared_directories:
    description: Directories that the server and all its clients see at the same path, which alone may hold a location.
    type: list
    elements: str
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
  platform:
    platforms: posix
notes:
  - Tested with MLflow 3.17.2, 3.1.4 and 2.22.5, without workspaces.
"""

EXAMPLES = r"""
- name: Have our experiments
  selfhosted.mlflow.experiments:
    tracking_uri: http://localhost:5000
    experiments:
      - name: churn
        artifact_location: mlflow-artifacts:/churn
        tags: {team: risk}
      - name: scratch
        tags: {team: risk, mlflow.note.content: "Deleted every Monday."}
        purge_tags: true
      - name: last-year
        state: absent

- name: Have one on a share, on a server with accounts
  selfhosted.mlflow.experiments:
    tracking_uri: https://ml.example.org/mlflow
    admin_config: /etc/mlflow/basic_auth.ini
    ca_bundle: /etc/ssl/ca.pem
    shared_directories: [/mnt/mlflow]
    experiments:
      - name: churn
        artifact_location: /mnt/mlflow/churn
        restore: true
"""

RETURN = r"""
steps:
  description: What was changed, or would be, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(create), V(restore) or V(delete) of an experiment, V(set_tag) or V(delete_tag) of a tag.
      type: str
    experiment:
      description: The experiment's name.
      type: str
experiments:
  description: The experiments that are to be present, as the server has them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
    experiment_id:
      description: The server's number for it, empty for one that is yet to be made.
      type: str
    artifact_location:
      description: Where artifacts go, as the server has stored it. Empty for one that is yet to be made.
      type: str
"""

from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import administrator, artifact_uri, experiments_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils import experiments_plan as plans
from ansible_collections.selfhosted.mlflow.plugins.module_utils.administrator import NOBODY_THERE, RefusedError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiments_api import Experiments
from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiments_plan import Present, Step, Wished
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_EXPERIMENT = {
    "name": {"type": "str", "required": True},
    "artifact_location": {"type": "str", "default": ""},
    "tags": {"type": "dict", "default": {}},
    "purge_tags": {"type": "bool", "default": False},
    "restore": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def wishes(given: dict[str, Any]) -> list[Wished]:
    """Return the experiments as the plan takes them."""
    return [
        Wished(
            name=one["name"],
            location=one["artifact_location"],
            tags=one["tags"],
            purge_tags=one["purge_tags"],
            restore=one["restore"],
            present=one["state"] == "present",
        )
        for one in given["experiments"]
    ]


def look(access: Access, wished: list[Wished], check_mode: bool) -> tuple[Optional[Experiments], Present, list[Step]]:
    """Ask for what there is, and return it with what is to be done.  Raises RefusedError, ApiError."""
    server = Experiments(TrackingApi(access))
    try:
        present = server.present([one.name for one in wished])
    except ApiError as error:
        if check_mode and error.reason in NOBODY_THERE:
            return None, {}, plans.plan(wished, {})
        raise
    steps = plans.plan(wished, present)
    problems = [*plans.conflicts(wished, present), *server.lacking(wished, steps)]
    if problems:
        raise RefusedError(problems)
    return server, present, steps


def told(server: Optional[Experiments], wished: list[Wished], present: Present) -> list[dict[str, str]]:
    """Return the experiments that are to be present, as the server has them now.  Raises ApiError."""
    names = [one.name for one in wished if one.present]
    lacking = [name for name in names if name not in present]
    found = {**present, **(server.present(lacking) if server else {})}
    return [
        {
            "name": name,
            "experiment_id": found[name].number if name in found else "",
            "artifact_location": artifact_uri.parse(found[name].location).shown if name in found else "",
        }
        for name in names
    ]


def main() -> None:
    """Judge, look, plan, do."""
    module = AnsibleModule(
        argument_spec={
            **administrator.ADMINISTRATOR,
            "experiments": {"type": "list", "elements": "dict", "required": True, "options": _EXPERIMENT},
            "shared_directories": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    steps: list[Step] = []
    done = 0
    try:
        access = administrator.access(given, module.check_mode)
        if access.problem():
            module.fail_json(msg=access.problem())
        problems = experiments_rules.judge(given["experiments"], given["shared_directories"])
        if problems:
            raise RefusedError(problems)
        wished = wishes(given)
        server, present, steps = look(access, wished, module.check_mode)
        if server and not module.check_mode:
            for step in steps:
                server.do(step)
                done += 1
        experiments = told(server, wished, present)
    except RefusedError as error:
        module.fail_json(msg=str(error))
    except ApiError as error:
        so_far = f"\n    so far: {done} of {len(steps)} changes were made; run it again" if done else ""
        module.fail_json(msg=f"found: {error}.\n    instead: {error.remedy}.{so_far}")
    before, after = plans.shown(present, steps)
    module.exit_json(
        changed=bool(steps),
        steps=[{"action": step.action, "experiment": step.name} for step in steps],
        experiments=experiments,
        diff={"before": before, "after": after, "before_header": "experiments", "after_header": "experiments"},
    )


if __name__ == "__main__":
    main()
