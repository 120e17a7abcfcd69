#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_path_probe
short_description: Prove that a path on this host is the MLflow server's artifact directory
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Does, as each of the users named, what MLflow's client does with an artifact root that it reaches directly -
    makes a directory there, writes a file of 64 KiB, synchronises it and reads it back.
  - Before that it reads the sentinel which M(selfhosted.mlflow.artifact_path_sentinel) has left on the server,
    so that a local directory of the same name, another share or a copy is told from the real one.
  - Says which of some thirty things is wrong, and what to do about it. Findings don't fail the module, so that a
    play can go on and show those of all hosts.
  - A file server that does not answer can't make it hang.
options:
  run:
    description: The name of the check, as RV(selfhosted.mlflow.artifact_path_sentinel#module:run) gives it.
    type: str
    required: true
  places:
    description:
      - The directories to prove, as RV(selfhosted.mlflow.artifact_path_sentinel#module:places) gives them.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: The artifact root, an absolute path.
        type: str
        required: true
      digest:
        description: Digest of the sentinel's nonce; empty when the server could leave none.
        type: str
        default: ""
      below:
        description: Further file systems below O(places[].path) on the server, with a sentinel in each.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where the file system is mounted.
            type: str
            required: true
          digest:
            description: Digest of the nonce there.
            type: str
            required: true
      share:
        description: The share that the server has there, C(HOST:/PATH); only remedies name it.
        type: str
        default: ""
      share_at:
        description: Where the server has mounted that share.
        type: str
        default: ""
  step:
    description:
      - V(prove) proves the paths for each of O(users).
      - V(colleagues) has users write into the directories that others made in the step before.
      - V(clean_up) removes what users of this host have made and the server could not remove.
    type: str
    choices: [prove, colleagues, clean_up]
    default: prove
  client:
    description: The name of this host in the reply, usually the inventory's.
    type: str
    required: true
  users:
    description:
      - The users to prove the paths for. To act as another user the module has to run as root.
      - None means the members of O(group).
    type: list
    elements: str
    default: []
  group:
    description: The group whose members are taken when O(users) names none.
    type: str
    default: ""
  exclude:
    description: Members of O(group) who are not taken, such as the server's own user.
    type: list
    elements: str
    default: []
  colleagues:
    description: Who writes to whose directory in step V(colleagues).
    type: list
    elements: dict
    default: []
    suboptions:
      user:
        description: A user of this host.
        type: str
        required: true
      path:
        description: The artifact root.
        type: str
        required: true
      their_client:
        description: The host of the colleague.
        type: str
        required: true
      their_user:
        description: The colleague.
        type: str
        required: true
  share:
    description: The share that should be mounted, C(HOST:/PATH), where O(places[].share) doesn't say. Used in remedies.
    type: str
    default: ""
  umask:
    description: The umask of the users' sessions, octal.
    type: str
    default: "0022"
  timeout:
    description: After how many seconds a call that does not come back is given up.
    type: float
    default: 20
  grace:
    description: How many seconds more to wait for an NFSv4 server that is in its grace period.
    type: float
    default: 100
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
  - module: selfhosted.mlflow.artifact_path_sentinel
"""

EXAMPLES = r"""
- name: Leave a sentinel in the server's artifact root
  selfhosted.mlflow.artifact_path_sentinel:
    paths: [/mnt/mlflow]
    user: mlflow
  delegate_to: mlflow.example.org
  run_once: true
  register: sentinel

- name: Prove the path for two users
  selfhosted.mlflow.artifact_path_probe:
    run: "{{ sentinel.run }}"
    places: "{{ sentinel.places }}"
    client: "{{ inventory_hostname }}"
    users: [alice, bob]
  register: probe
"""

RETURN = r"""
findings:
  description: What is wrong or worth knowing, nothing when all is well.
  returned: success
  type: list
  elements: dict
  contains:
    class:
      description: The class, a word that the documentation explains.
      type: str
      sample: local_directory
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
      description: For which user.
      type: str
    path:
      description: At which path.
      type: str
replies:
  description: Who has replied where, for the server to verify.
  returned: success
  type: list
  elements: dict
  contains:
    client:
      description: This host.
      type: str
    user:
      description: The user.
      type: str
    path:
      description: The artifact root.
      type: str
    uid:
      description: The user's number on this host.
      type: int
    made_uid:
      description: The number of the file's owner as this host sees it.
      type: int
users:
  description: The users who were looked at.
  returned: success
  type: list
  elements: str
watched:
  description: Whether the role mlflow_artifact_check has installed its watch here.
  returned: with O(step=prove)
  type: bool
"""

from dataclasses import replace
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    mount_table,
    path_check,
    path_classes,
    path_host,
    path_proof,
    path_rules,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_check import Check, Target, Visit
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_host import Account, Share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_prober import Place
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_watch import Limits
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render


def _problems(given: dict[str, Any]) -> list[Problem]:
    found = [path_rules.root_problem("places.path", place["path"]) for place in given["places"]]
    found += [
        path_rules.seconds_problem("timeout", given["timeout"], 0),
        path_rules.seconds_problem("grace", given["grace"], -1),
        path_rules.umask_problem("umask", given["umask"]),
    ]
    return [problem for problem in found if problem]


def _mounts(run: Runner) -> tuple[MountEntry, ...]:
    try:
        return mount_table.read_table(run)
    except (OSError, NoAnswerError):
        # What the table would tell is missing from the evidence; the probe itself goes on.
        return ()


def _targets(given: dict[str, Any]) -> list[Target]:
    return [
        Target(
            path=place["path"],
            place=Place(place["path"], place["digest"]) if place["digest"] else None,
            below=tuple(Place(**below) for below in place["below"]),
            share=Share(place["share"] or given["share"], place["share_at"]),
        )
        for place in given["places"]
    ]


def _not_able(account: Account) -> Optional[Finding]:
    """Return a finding when this process can't act as a user."""
    try:
        account.identity()
    except PermissionError:
        message = f"only root can act as {account.name}, so nothing is proved for this user here"
        return Finding("probe_failed", ERROR, message, "connect to this host as root, or use become")
    return None


def _prove(check: Check, given: dict[str, Any], names: list[str], known: dict[str, Account]) -> dict[str, Any]:
    targets = _targets(given)
    refused = {name: finding for name, account in known.items() for finding in [_not_able(account)] if finding}
    able = [account for name, account in known.items() if name not in refused]
    evidence = path_check.prove(check, targets, able)
    evidence += [path_check.unknown(name, one.path) for name in names if name not in known for one in targets]
    findings = [
        replace(finding, evidence=seen.as_dict()).as_dict(user=seen.user, path=seen.path)
        for seen in evidence
        for finding in path_classes.classify(seen)
    ]
    findings += [finding.as_dict(user=name) for name, finding in refused.items()]
    if not names:
        nobody = Finding(
            "nobody_named",
            ERROR,
            f"no user is named and the group {given['group'] or '(none)'} has no members here, so nothing is proved",
            "name the users who log runs on this host (mlflow_users)",
        )
        findings.append(nobody.as_dict())
    replies = [
        {"client": check.client, "user": seen.user, "path": seen.path, "uid": seen.uid, "made_uid": seen.made_uid}
        for seen in evidence
        if seen.replied
    ]
    return {"findings": findings, "replies": replies, "users": names, "run": check.run, "watched": path_host.watched()}


def _visit(check: Check, given: dict[str, Any]) -> dict[str, Any]:
    findings, visits = [], []
    for one in given["colleagues"]:
        account = path_host.account(one["user"])
        if account:
            visits.append(Visit(one["path"], account, Member(one["their_client"], one["their_user"])))
    for seen in path_check.visit(check, visits):
        findings += [
            replace(finding, evidence=seen.as_dict()).as_dict(user=seen.user, path=seen.path)
            for finding in path_classes.classify_visit(seen)
        ]
    return {"findings": findings, "replies": [], "users": [visit.user.name for visit in visits]}


def _act(module: AnsibleModule) -> dict[str, Any]:
    given = module.params
    check = Check(
        run=path_proof.check_run(given["run"]),
        client=given["client"],
        mounts=_mounts(module.run_command),
        limits=Limits(given["timeout"], given["grace"]),
        umask=int(given["umask"], 8),
        write=not module.check_mode,
    )
    names = given["users"] or [name for name in path_host.members(given["group"]) if name not in given["exclude"]]
    accounts = {name: path_host.account(name) for name in names}
    known = {name: account for name, account in accounts.items() if account}
    if given["step"] == "colleagues":
        return _visit(check, given)
    if given["step"] == "clean_up":
        paths = [place["path"] for place in given["places"]]
        removed = [] if module.check_mode else path_check.clean_up(check, paths, list(known.values()))
        return {"findings": [], "replies": [], "users": names, "removed": removed}
    return _prove(check, given, names, known)


def main() -> None:
    below = {"path": {"type": "str", "required": True}, "digest": {"type": "str", "required": True}}
    place = {
        "path": {"type": "str", "required": True},
        "digest": {"type": "str", "default": ""},
        "below": {"type": "list", "elements": "dict", "default": [], "options": below},
        "share": {"type": "str", "default": ""},
        "share_at": {"type": "str", "default": ""},
    }
    colleague = {name: {"type": "str", "required": True} for name in ("user", "path", "their_client", "their_user")}
    module = AnsibleModule(
        argument_spec={
            "run": {"type": "str", "required": True},
            "places": {"type": "list", "elements": "dict", "required": True, "options": place},
            "step": {"type": "str", "choices": ["prove", "colleagues", "clean_up"], "default": "prove"},
            "client": {"type": "str", "required": True},
            "users": {"type": "list", "elements": "str", "default": []},
            "group": {"type": "str", "default": ""},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "colleagues": {"type": "list", "elements": "dict", "default": [], "options": colleague},
            "share": {"type": "str", "default": ""},
            "umask": {"type": "str", "default": "0022"},
            "timeout": {"type": "float", "default": 20},
            "grace": {"type": "float", "default": 100},
        },
        supports_check_mode=True,
    )
    problems = _problems(module.params)
    if problems:
        module.fail_json(msg=render(problems))
    try:
        result = _act(module)
    except (ValueError, PermissionError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
