#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: logged_run_absent
short_description: Remove the runs that artifact checks have logged, for good
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Removes the experiments that M(selfhosted.mlflow.logged_run_probe) has made in the check O(run), and those that
    other checks left behind more than 24 hours ago. No other experiment is touched.
  - Deletes them by the REST API, then removes files and database rows with the server's own MLflow, as the user of
    its service and with its environment. Secrets are neither arguments nor output.
  - C(mlflow gc) is not used, for it also destroys all other runs that somebody has deleted and may want back.
  - Run it on the server. Files are removed without following links, and never in bulk.
options:
  run:
    description: The name of the check, 16 hexadecimal digits.
    type: str
    required: true
  account:
    description:
      - Account of MLflow that the runs were logged with. What it was granted by making the experiments is taken
        back, or it would have the right to manage later experiments of the same number. Empty where MLflow has none.
    type: str
    default: ""
  server_program:
    description: The server's C(mlflow); the C(python) beside it is used.
    type: path
    default: /opt/mlflow/current/bin/mlflow
  environment_file:
    description: The environment file of the server's service, with the address of its database.
    type: path
    default: /etc/mlflow/server.env
  user:
    description: Whom the service runs as. To act as another user the module has to run as root.
    type: str
    default: mlflow
  timeout:
    description: Seconds that removing for good may take.
    type: float
    default: 120
extends_documentation_fragment:
  - selfhosted.mlflow.tracking
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Removes nothing.
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
notes:
  - Never reports a change, for a check leaves nothing changed.
  - Written for MLflow 3.17.2; it calls what C(mlflow gc) calls.
seealso:
  - module: selfhosted.mlflow.logged_run_probe
"""

EXAMPLES = r"""
- name: Remove what the check has logged
  selfhosted.mlflow.logged_run_absent:
    run: 0123456789abcdef
    tracking_uri: http://mlflow.example.org:5000
"""

RETURN = r"""
findings:
  description:
    - What was found. The classes are V(runs_left), V(api_unreachable), V(api_refused), V(api_wrong_address) and
      V(api_failed).
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
removed:
  description: Numbers of the experiments that are gone for good.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import logged_run, run_removal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import ARGUMENTS, Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

_API_SECONDS = 60.0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "run": {"type": "str", "required": True},
            "account": {"type": "str", "default": ""},
            "server_program": {"type": "path", "default": "/opt/mlflow/current/bin/mlflow"},
            "environment_file": {"type": "path", "default": "/etc/mlflow/server.env"},
            "user": {"type": "str", "default": "mlflow"},
            "timeout": {"type": "float", "default": 120},
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
        duration=_API_SECONDS,
    )
    problem = access.problem()
    if not problem and not logged_run.is_run(params["run"]):
        problem = "run must have 16 hexadecimal digits"
    if not problem and not params["timeout"] > 0:
        problem = "timeout must be greater than 0 seconds"
    if problem:
        module.fail_json(msg=problem)
    if module.check_mode:
        module.exit_json(changed=False, findings=[], removed=[])
    try:
        api = TrackingApi(access)
        experiments = run_removal.due(api, params["run"])
        if params["account"]:
            run_removal.revoke(api, experiments, params["account"])
    except ApiError as error:
        module.exit_json(changed=False, findings=[error.finding().as_dict()], removed=[])
    server = run_removal.Server(params["server_program"], params["environment_file"], params["user"], params["timeout"])
    removal = run_removal.forget(server, experiments)
    found = [finding.as_dict() for finding in run_removal.findings(removal, experiments)]
    module.exit_json(changed=False, findings=found, removed=list(removal.removed))


if __name__ == "__main__":
    main()
