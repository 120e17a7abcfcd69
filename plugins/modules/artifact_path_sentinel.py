#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_path_sentinel
short_description: Leave a sentinel in the MLflow server's artifact root, and read what clients replied
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - The server's side of the proof that clients and server have one directory at a path. With O(state=present) it
    leaves a file with a nonce, which M(selfhosted.mlflow.artifact_path_probe) looks for on the clients.
    With O(state=absent) it reads their replies, and removes everything that the check has made.
  - Works as the user whom the server runs as and, where O(process) is found, in the server's own view of the
    directories, which is not the host's when it runs in a container.
  - Clients may write to the directory, so nothing there is followed or believed. Nothing but what a check makes
    is ever removed; what killed checks left behind goes after a day.
  - Findings don't fail the module.
options:
  state:
    description:
      - V(present) leaves the sentinels, V(absent) reads the replies and removes the sentinels.
    type: str
    choices: [present, absent]
    default: present
  paths:
    description: The artifact roots, absolute paths on the server.
    type: list
    elements: str
    required: true
  user:
    description: The user whom the server runs as. Not used when O(process) is found, for that knows it better.
    type: str
    default: mlflow
  process:
    description:
      - The server's process - a systemd unit such as V(mlflow.service), a number, or C(command:TEXT) for the process
        that has a text in its command line, in a container too.
      - Empty to take the host's view and O(user).
    type: str
    default: ""
  run:
    description: The name of the check, with O(state=absent) that of the same check's O(state=present).
    type: str
    default: ""
  places:
    description: What O(state=present) returned as RV(places).
    type: list
    elements: dict
    default: []
  replies:
    description: All that clients returned as RV(selfhosted.mlflow.artifact_path_probe#module:replies).
    type: list
    elements: dict
    default: []
    suboptions:
      client:
        description: The client.
        type: str
        required: true
      user:
        description: The user.
        type: str
        required: true
      path:
        description: The artifact root.
        type: str
        required: true
      uid:
        description: The user's number on the client.
        type: int
        required: true
      made_uid:
        description: The number of the owner of what the user has made, as the client sees it.
        type: int
        default: -1
  timeout:
    description: After how many seconds a call that does not come back is given up.
    type: float
    default: 20
  grace:
    description: How many seconds more to wait for an NFSv4 server that is in its grace period.
    type: float
    default: 100
  patience:
    description:
      - How many seconds to wait for a reply that a client has written, where the path is on NFS for the server as well;
        an NFS client may take 30 seconds to see what others made.
    type: float
    default: 35
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: partial
    details: Only looks at the paths and writes nothing, so nothing is proved.
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
seealso:
  - module: selfhosted.mlflow.artifact_path_probe
"""

EXAMPLES = r"""
- name: Leave a sentinel in the root of a server that systemd runs
  selfhosted.mlflow.artifact_path_sentinel:
    paths: [/mnt/mlflow]
    process: mlflow.service
  register: sentinel

- name: The same for a server in a container on this host
  selfhosted.mlflow.artifact_path_sentinel:
    paths: [/mnt/mlflow]
    process: "command:mlflow server"
  register: sentinel

- name: Read the replies and remove everything
  selfhosted.mlflow.artifact_path_sentinel:
    state: absent
    paths: [/mnt/mlflow]
    run: "{{ sentinel.run }}"
    places: "{{ sentinel.places }}"
    replies: "{{ ansible_play_hosts | map('extract', hostvars, ['probe', 'replies']) | flatten }}"
    process: mlflow.service
"""

RETURN = r"""
run:
  description: The name of the check.
  returned: success
  type: str
  sample: 0123456789abcdef
places:
  description: Where sentinels are, for M(selfhosted.mlflow.artifact_path_probe).
  returned: O(state=present)
  type: list
  elements: dict
findings:
  description: What is wrong or worth knowing, as in RV(selfhosted.mlflow.artifact_path_probe#module:findings).
  returned: success
  type: list
  elements: dict
watched:
  description: Whether the role mlflow_artifact_check has installed its watch here.
  returned: with O(state=present)
  type: bool
left:
  description: Replies that could not be removed here, so that the clients have to.
  returned: O(state=absent)
  type: list
  elements: dict
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    path_host,
    path_proof,
    path_rules,
    sentinel_check,
    server_process,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_sentinel import Claim
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_watch import Limits
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render
from ansible_collections.selfhosted.mlflow.plugins.module_utils.sentinel_check import Check


def _problems(given: dict[str, Any]) -> list[Problem]:
    found = [path_rules.root_problem("paths", path) for path in given["paths"]]
    found += [
        path_rules.seconds_problem("timeout", given["timeout"], 0),
        path_rules.seconds_problem("grace", given["grace"], -1),
        path_rules.seconds_problem("patience", given["patience"], -1),
    ]
    return [problem for problem in found if problem]


def _present(check: Check, paths: list[str]) -> dict[str, Any]:
    planted = [sentinel_check.plant(check, path) for path in paths]
    findings = [
        replace(finding, evidence=one.evidence.as_dict()).as_dict(user=check.who.name, path=one.evidence.path)
        for one in planted
        for finding in one.findings
    ]
    return {"findings": findings, "places": [one.place() for one in planted], "watched": path_host.watched()}


def _absent(check: Check, given: dict[str, Any]) -> dict[str, Any]:
    below = {place["path"]: [one["path"] for one in place.get("below", [])] for place in given["places"]}
    findings, left = [], []
    for path in given["paths"]:
        claims = tuple(
            Claim(Member(reply["client"], reply["user"]), reply["uid"], reply["made_uid"])
            for reply in given["replies"]
            if reply["path"] == path
        )
        collected = sentinel_check.collect(check, path, claims, tuple(below.get(path, ())), given["patience"])
        findings += [finding.as_dict(path=path, **about) for finding, about in collected.findings]
        left += [{"client": member.client, "user": member.user, "path": path} for member in collected.left]
    return {"findings": findings, "left": left}


def _act(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    check, notes = sentinel_check.prepare(
        run_name=path_proof.check_run(given["run"]) if given["run"] else path_proof.new_run(),
        user=given["user"],
        process=given["process"],
        limits=Limits(given["timeout"], given["grace"]),
        write=not module.check_mode,
        run=module.run_command,
    )
    done = _present(check, given["paths"]) if given["state"] == "present" else _absent(check, given)
    # What is odd about the process is said once, not again when the replies are read.
    said = [note.as_dict() for note in notes] if given["state"] == "present" else []
    return {**done, "run": check.run, "findings": said + done["findings"]}


def main() -> None:
    reply = {
        "client": {"type": "str", "required": True},
        "user": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "uid": {"type": "int", "required": True},
        "made_uid": {"type": "int", "default": -1},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "paths": {"type": "list", "elements": "str", "required": True},
            "user": {"type": "str", "default": "mlflow"},
            "process": {"type": "str", "default": ""},
            "run": {"type": "str", "default": ""},
            "places": {"type": "list", "elements": "dict", "default": []},
            "replies": {"type": "list", "elements": "dict", "default": [], "options": reply},
            "timeout": {"type": "float", "default": 20},
            "grace": {"type": "float", "default": 100},
            "patience": {"type": "float", "default": 35},
        },
        required_if=[("state", "absent", ["run"])],
        supports_check_mode=True,
    )
    problems = _problems(module.params)
    if problems:
        module.fail_json(msg=render(problems))
    try:
        result = _act(module)
    except (ValueError, OSError, server_process.NotSeenError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
