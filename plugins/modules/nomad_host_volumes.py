#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nomad_host_volumes
short_description: Have host volumes on a Nomad client
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Writes a file of its own into the agent's configuration directory, which Nomad merges with the user's files.
    No other file is touched.
  - Proves the paths first, for an agent ends at its start when one is missing. Each must be a directory that the
    task's user can use and, where a share is named, lie on a network file system.
  - Lets the agent itself validate the file together with its other files before it is put in place.
  - Restarts the agent only when its node doesn't show the volumes as wanted, for a reload doesn't read them.
    When the node doesn't show them afterwards, the file is put back as it was, the agent is restarted once more,
    and the module fails with what the agent said.
  - Nomad leaves running allocations alone in a restart, unless told otherwise; see O(disturb).
options:
  volumes:
    description: The host volumes. None removes the file.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name, of letters, digits and hyphens, so that an ACL policy can grant it.
        type: str
        required: true
      path:
        description: The directory on this host, which must exist.
        type: str
        required: true
      read_only:
        description: Whether tasks may only read.
        type: bool
        default: false
      share:
        description: The NFS share that must be mounted at or above O(volumes[].path). Empty for a local directory.
        type: str
        default: ""
  uid:
    description: Number of the user whom the task runs as. Nomad changes no owner.
    type: int
    required: true
  gid:
    description: Number of that user's group in the task.
    type: int
    required: true
  file:
    description: The file to write, in a directory that the agent reads its configuration from.
    type: str
    default: /etc/nomad.d/mlflow-host-volumes.hcl
  config:
    description: What the agent is started with as C(-config), besides the directory of O(file), for validating.
    type: list
    elements: str
    default: []
  program:
    description: Nomad's program.
    type: str
    default: nomad
  service:
    description: The agent's systemd service.
    type: str
    default: nomad.service
  restart:
    description:
      - Whether the agent may be restarted. When not, the file is put in place, and the volumes come with the
        agent's next start, whatever it finds then.
    type: bool
    default: true
  disturb:
    description:
      - Whether to restart an agent that is told to leave or drain when it stops (C(leave_on_interrupt),
        C(leave_on_terminate), C(drain_on_shutdown)), or whose unit has another C(KillMode) than C(process),
        although that ends what runs on it.
    type: bool
    default: false
  wait_seconds:
    description: Seconds that a restarted agent is given until its node is ready and shows the volumes.
    type: float
    default: 90
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - selfhosted.mlflow.nomad
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
    support: full
notes:
  - Needs root, systemd, and a token that may C(agent:read) and C(node:read) where ACLs are on.
"""

EXAMPLES = r"""
- name: Have the share as a host volume
  selfhosted.mlflow.nomad_host_volumes:
    volumes:
      - name: mlflow-artifacts
        path: /mnt/mlflow
        share: nas:/srv/mlflow
    uid: 2010
    gid: 2011
"""

RETURN = r"""
restarted:
  description: Whether the agent was restarted, in check mode whether it would be.
  returned: success
  type: bool
"""

import os
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_agent, nomad_api, nomad_volumes
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_agent import Agent
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_volumes import Volume
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render


def _problems(given: dict[str, Any], volumes: list[Volume]) -> list[Problem]:
    problems = nomad_volumes.input_problems(volumes, nomad_agent.other_files(given["file"]))
    identity = Identity(given["uid"], given["gid"])
    user = f"the task's user {given['uid']}:{given['gid']}"
    for volume in volumes if not problems else ():
        problems += nomad_volumes.place_problems(volume, nomad_agent.look(volume, identity), user)
    if not os.path.isdir(os.path.dirname(given["file"])):
        problems.append(
            Problem(
                f"there is no directory {os.path.dirname(given['file'])}",
                "the agent would not read the file",
                "name the directory that the agent is started with as -config",
            )
        )
    return problems


def _draft(module: AnsibleModule, text: str) -> str:
    """Write the file where the agent doesn't look, and return its name."""
    descriptor, draft = tempfile.mkstemp(suffix=".hcl", dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(draft, 0o644)
    return draft


def _validate(module: AnsibleModule, draft: str) -> None:
    given = module.params
    argv = [given["program"], "config", "validate", os.path.dirname(given["file"]), *given["config"], draft]
    status, out, errors = module.run_command(argv)
    if status != 0:
        module.fail_json(
            msg=f"Nomad refuses its configuration with these volumes, so nothing was changed: {out}{errors}"
        )


def _put(module: AnsibleModule, text: str) -> None:
    """Have the file say ``text``, or not be there when that is ''."""
    if text:
        module.atomic_move(_draft(module, text), module.params["file"])
    elif os.path.exists(module.params["file"]):
        os.unlink(module.params["file"])


def _disturbed(agent: Agent) -> list[str]:
    """Return by which settings a restart would end what runs; none when the agent doesn't run."""
    unit = agent.unit()
    if unit.get("ActiveState") != "active":
        return []
    try:
        return nomad_volumes.disturbing(agent.settings().get("config") or {}, unit)
    except NomadError:
        return nomad_volumes.disturbing({}, unit)


def _refuse_disturbance(module: AnsibleModule, agent: Agent) -> None:
    found = _disturbed(agent)
    if not found:
        return
    told = f"a restart of {agent.service} ends or moves what runs on this node, because of {', '.join(found)}"
    if not module.params["disturb"]:
        module.fail_json(
            msg=f"{told}. Nothing was changed: drain the node at a time of your choice and set disturb "
            "(mlflow_nomad_disturb), or set restart to false (mlflow_nomad_restart_agent) and restart it yourself"
        )
    module.warn(told)


def _restart(module: AnsibleModule, agent: Agent, volumes: list[Volume], before: str) -> None:
    wrong = agent.restart(volumes)
    if not wrong:
        return
    said = agent.said()
    changed_back = ""
    if nomad_agent.read(module.params["file"]) != before:
        _put(module, before)
        after = agent.restart([])
        changed_back = f" {module.params['file']} was put back as it was, and the agent " + (
            f"restarted, but: {after}" if after else "runs again."
        )
    module.fail_json(
        msg=f"The agent does not show the host volumes: {wrong}.{changed_back}\nThe agent said:\n" + "\n".join(said),
        said=said,
    )


def main() -> None:
    volume = {
        "name": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "read_only": {"type": "bool", "default": False},
        "share": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "volumes": {"type": "list", "elements": "dict", "required": True, "options": volume},
            "uid": {"type": "int", "required": True},
            "gid": {"type": "int", "required": True},
            "file": {"type": "str", "default": "/etc/nomad.d/mlflow-host-volumes.hcl"},
            "config": {"type": "list", "elements": "str", "default": []},
            "program": {"type": "str", "default": "nomad"},
            "service": {"type": "str", "default": "nomad.service"},
            "restart": {"type": "bool", "default": True},
            "disturb": {"type": "bool", "default": False},
            "wait_seconds": {"type": "float", "default": 90},
            **nomad_api.arguments(),
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = module.params
    access = nomad_api.access(given)
    if access.problem():
        module.fail_json(msg=access.problem())
    volumes = [Volume(**one) for one in given["volumes"]]
    problems = _problems(given, volumes)
    if problems:
        module.fail_json(msg=render(problems))
    agent = Agent(given["service"], NomadApi(access), module.run_command, given["wait_seconds"])
    before, after = nomad_agent.read(given["file"]), nomad_volumes.render(volumes) if volumes else ""
    if before != after:
        _validate(module, _draft(module, after or "client {}\n"))
    restart = given["restart"] and (before != after or bool(agent.shows(volumes)))
    if restart:
        _refuse_disturbance(module, agent)
    if not module.check_mode:
        if before != after:
            _put(module, after)
        if restart:
            _restart(module, agent, volumes, before)
    diff = {"before_header": given["file"], "after_header": given["file"], "before": before, "after": after}
    module.exit_json(changed=before != after or restart, restarted=restart, diff=diff)


if __name__ == "__main__":
    main()
