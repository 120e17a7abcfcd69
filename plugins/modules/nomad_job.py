#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_job
short_description: Have a job registered in Nomad and healthy, or stopped
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Has Nomad parse, validate and plan a job, and registers it when the plan has a change, with the job's modify index,
    so that what somebody else registered meanwhile is not overwritten.
  - Then waits until the deployment of that very version is healthy. When it is not, fails with the events and the last
    log lines of the failing tasks, and says whether Nomad went back to the older version and what runs now.
  - When no node can take the job, says why as soon as that has lasted for 10 seconds.
  - A job that has not changed but is stopped, or a service of which nothing runs any more, is started again. Nomad
    counts that as a new version. A batch job that has ended is left alone.
options:
  state:
    description: Whether the job is to run or to be stopped.
    type: str
    choices: [present, absent]
    default: present
  job:
    description: The job as HCL 2, with O(state=present). It must hold no secrets, for Nomad keeps and shows it.
    type: str
    default: ""
  name:
    description: The job's id. With O(state=present) it is taken from O(job), and only compared with what is given here.
    type: str
    default: ""
  variables:
    description: Values of the HCL variables that O(job) declares. Nomad keeps them with the job.
    type: dict
    default: {}
  purge:
    description: With O(state=absent), whether Nomad forgets the job and its versions, too.
    type: bool
    default: false
  wait_seconds:
    description:
      - Seconds to wait for the job's health, or for its end. V(0) means not to wait.
      - When Nomad goes back to an older version, half of that, and 30 seconds at least, are waited for it besides.
    type: float
    default: 300
  log_lines:
    description:
      - How many of the last lines of a failing task's standard output and error are shown. V(0) means none, for jobs
        that may write secrets, for what is secret in a log isn't known.
    type: int
    default: 20
extends_documentation_fragment:
  - selfhosted.mlflow.nomad
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Plans, and registers and stops nothing.
  diff_mode:
    support: full
    details: Shows Nomad's plan without what is the same, or the job's state before and after.
  platform:
    platforms: posix
    support: full
notes:
  - Where ACLs are on, the token's policies must have the capabilities C(submit-job), C(read-job) and C(read-logs) in the
    namespace, and for each host volume C(host_volume "NAME" { policy = "write" }).
  - A job or an option may name namespace and region, and both only when they agree.
seealso:
  - module: community.general.nomad_job
    description: Registers a job without waiting for its health.
"""

EXAMPLES = r"""
- name: Have MLflow run, and wait until it is healthy
  selfhosted.mlflow.nomad_job:
    address: https://nomad.example.org:4646
    token: "{{ vault_nomad_token }}"
    ca_bundle: /etc/ssl/certs/nomad-ca.pem
    tls_server_name: server.global.nomad
    job: "{{ lookup('ansible.builtin.template', 'mlflow.nomad.hcl.j2') }}"

- name: Give variables that the job declares, to an agent that wants a client certificate
  selfhosted.mlflow.nomad_job:
    address: https://nomad.example.org:4646
    ca_bundle: /etc/nomad.d/tls/ca.pem
    client_cert: /etc/nomad.d/tls/cli.pem
    client_key: /etc/nomad.d/tls/cli-key.pem
    namespace: ml
    job: "{{ lookup('ansible.builtin.file', 'mlflow.nomad.hcl') }}"
    variables:
      image: registry.example.org/mlflow:3.17.2
      datacenters: [home]

- name: See what would change
  selfhosted.mlflow.nomad_job:
    job: "{{ lookup('ansible.builtin.file', 'mlflow.nomad.hcl') }}"
  check_mode: true
  diff: true

- name: Stop the job and have Nomad forget it
  selfhosted.mlflow.nomad_job:
    name: mlflow
    state: absent
    purge: true
"""

RETURN = r"""
name:
  description: The job's id.
  returned: always, once it is known
  type: str
  sample: mlflow
version:
  description:
    - The version that was registered or that was there, as Nomad counts from 0; null without a job.
    - After Nomad went back to an older version this is still the one that failed.
  returned: always, once it is known
  type: int
  sample: 3
deployment:
  description: That version's deployment; empty for jobs without one.
  returned: always, once it is known
  type: dict
  contains:
    id:
      description: Its id.
      type: str
    status:
      description: Nomad's word, such as V(successful), V(failed) or V(running).
      type: str
    description:
      description: Nomad's sentence.
      type: str
reverted_to:
  description: The older version that Nomad went back to, null when it did not.
  returned: always, once it is known
  type: int
running_versions:
  description: How many allocations of each version run.
  returned: always, once it is known
  type: dict
  sample: {"3": 1}
nodes:
  description: Ids of the nodes on which allocations of it run. Empty in check mode.
  returned: always, once it is known
  type: list
  elements: str
failures:
  description: Tasks of the failed version, those of the newest three allocations.
  returned: always, once it is known
  type: list
  elements: dict
  contains:
    allocation:
      description: Id of the allocation.
      type: str
    node:
      description: Name of its node.
      type: str
    group:
      description: Name of the task group.
      type: str
    version:
      description: The version of the job.
      type: int
    status:
      description: Nomad's word for the allocation, such as V(failed).
      type: str
    task:
      description: Name of the task; empty for an allocation that has not come to its tasks.
      type: str
    events:
      description: The task's last events, with their time in UTC.
      type: list
      elements: str
    stdout:
      description: The last lines of its standard output, or why they can't be shown.
      type: list
      elements: str
    stderr:
      description: The last lines of its standard error, or why they can't be shown.
      type: list
      elements: str
status:
  description: HTTP status of an answer that is no use; 0 where there was none.
  returned: failure for want of a usable answer of Nomad's
  type: int
  sample: 403
reason:
  description:
    - One word for that, such as V(refused), V(timed_out), V(certificate), V(client_certificate), V(forbidden),
      V(token), V(not_found), V(rejected), V(no_leader) or V(strange).
  returned: failure for want of a usable answer of Nomad's
  type: str
plan:
  description: Nomad's plan as lines, without what is the same. Empty without a change.
  returned: always, once it is known
  type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_api, nomad_job
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_result import Wish


def _problem(params: dict[str, Any], access: nomad_api.Access) -> str:
    """Return what is wrong with the inputs, or ''."""
    if params["wait_seconds"] < 0 or params["log_lines"] < 0:
        return "wait_seconds and log_lines must not be negative"
    return access.problem()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **nomad_api.arguments(),
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "job": {"type": "str", "default": ""},
            "name": {"type": "str", "default": ""},
            "variables": {"type": "dict", "default": {}},
            "purge": {"type": "bool", "default": False},
            "wait_seconds": {"type": "float", "default": 300},
            "log_lines": {"type": "int", "default": 20},
        },
        required_if=[("state", "present", ("job",)), ("state", "absent", ("name",))],
        supports_check_mode=True,
    )
    params = module.params
    access = nomad_api.access(params)
    problem = _problem(params, access)
    if problem:
        module.fail_json(msg=problem)
    nomad = nomad_api.NomadApi(access)
    diff: dict[str, str] = {}
    try:
        if params["state"] == "absent":
            result, diff = nomad_job.absent(
                nomad, params["name"], params["purge"], params["wait_seconds"], module.check_mode
            )
        else:
            wish = Wish(
                text=params["job"],
                name=params["name"],
                variables=params["variables"],
                wait_seconds=params["wait_seconds"],
                log_lines=params["log_lines"],
            )
            result = nomad_job.present(nomad, wish, module.check_mode)
            diff = {"prepared": result.diff}
    except NomadError as error:
        module.fail_json(msg=error.explain(), status=error.status, reason=error.reason)
    except ValueError as error:
        module.fail_json(msg=str(error))
    for warning in result.warnings:
        module.warn(warning)
    if result.problem:
        module.fail_json(msg=result.problem, changed=result.changed, diff=diff, **result.values())
    module.exit_json(changed=result.changed, diff=diff, **result.values())


if __name__ == "__main__":
    main()
