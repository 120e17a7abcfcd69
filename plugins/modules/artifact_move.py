#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_move
short_description: Move an MLflow server's artifacts, and every location that its database has stored
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - MLflow stores an absolute location with every experiment, run, logged model, model version and trace, for good.
    This copies the files of one artifact root to another, and rewrites the stored locations in one transaction.
  - Can be killed at any point; run again, it goes on. What it does is recorded in O(record_directory), and can be
    undone by O(undo).
  - The files of the old root are only read.
options:
  state:
    description:
      - V(planned) changes nothing and tells what would be done.
      - V(copied) copies files, while the server may be running.
      - V(moved) copies the rest, rewrites the locations and proves the result. No server may be running.
      - V(served) changes nothing, and asks the server, which runs again, for artifacts of the last move; it fails where
        one is not listed or has other contents.
    type: str
    choices: [planned, copied, moved, served]
    default: planned
  environment_file:
    description: The environment file of the server, with the addresses of its databases.
    type: path
    required: true
  record_directory:
    description: Directory of the records of all moves.
    type: path
    required: true
  target_access:
    description: Who is to write artifacts, the clients themselves or the server for them.
    type: str
    choices: [direct, proxied]
    required: true
  target_directory:
    description: The new artifact root, a directory of this host.
    type: str
    required: true
  source_access:
    description: Who writes artifacts in the old root. Needed with O(source_directory).
    type: str
    choices: [direct, proxied]
  source_directory:
    description: The old artifact root. When empty, what O(environment_file) says.
    type: str
    default: ""
  user:
    description: Account that owns the copies, with its groups. When empty, whoever runs this.
    type: str
    default: ""
  undo:
    description: Take the last recorded move back. O(target_directory) must be where it came from.
    type: bool
    default: false
  accepted_columns:
    description: Columns such as V(table.column) that name the old root and may go on to.
    type: list
    elements: str
    default: []
  verify_every:
    description: Compare one of so many copies with what was read; 1 compares all.
    type: int
    default: 1
  sample:
    description: Of how many runs one artifact each is asked for. Read with O(state=served).
    type: int
    default: 10
requirements:
  - SQLAlchemy and the database's driver, as the virtual environment of every MLflow server has them. Set
    C(ansible_python_interpreter) to that one's Python.
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
    details: Linux only.
"""

EXAMPLES = r"""
- name: Tell what a move would do
  selfhosted.mlflow.artifact_move:
    environment_file: /etc/mlflow/server.env
    record_directory: /var/backups/mlflow/moves
    target_access: direct
    target_directory: /mnt/mlflow
  vars:
    ansible_python_interpreter: /opt/mlflow/current/bin/python
"""

RETURN = r"""
needed:
  description: Whether there is anything to move, or a move to be ended.
  returned: success
  type: bool
source:
  description: The old root, with C(access) and C(directory).
  returned: success
  type: dict
target:
  description: The new root.
  returned: success
  type: dict
rows:
  description: How many values of each column lay in the old root.
  returned: success
  type: dict
  sample: {experiments.artifact_location: 4, runs.artifact_uri: 120}
mentions:
  description: How many values of other columns have the old root's text in them. They are people's words, and stay.
  returned: success
  type: dict
files:
  description: How many files were to be copied.
  returned: success
  type: int
bytes:
  description: How many bytes were to be copied.
  returned: success
  type: int
single:
  description: Whether a database is a file, which is one server's own.
  returned: when O(state) is another than V(served)
  type: bool
served:
  description: How many artifacts the server lists and returns as they were moved.
  returned: when O(state=served)
  type: int
unasked:
  description: Why the server could not be asked, or ''. One with accounts wants to know who asks.
  returned: when O(state=served)
  type: str
record:
  description: Directory of the move's record, '' when there is none yet.
  returned: success
  type: str
"""

import grp
import os
import pwd
from dataclasses import asdict
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_mover,
    environment,
    move_database,
    move_proof,
    move_record,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_mover import Mover, Plan, Wish
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import CopyError, Owner, read_list
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError


def owner(user: str) -> Optional[Owner]:
    """Return an account's numbers, None for ''.  Raises KeyError when there is no such account."""
    if not user:
        return None
    found = pwd.getpwnam(user)
    groups = {found.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    return Owner(found.pw_uid, found.pw_gid, tuple(sorted(groups)))


def wish(params: dict[str, Any]) -> Wish:
    """Return what the module's arguments ask for."""
    source = params["source_directory"]
    return Wish(
        target=Root(params["target_access"], params["target_directory"]),
        source=Root(params["source_access"], source) if source else None,
        undo=params["undo"],
        accepted=tuple(params["accepted_columns"]),
        owner=owner(params["user"]),
        verify_every=params["verify_every"],
    )


def act(module: AnsibleModule, mover: Mover, parent: str) -> tuple[Plan, bool, str]:
    """Do what is asked for; return the plan, whether anything changed, and where the record is."""
    plan = mover.plan()
    if plan.problems:
        # How far it is, a failed move asks too.
        module.fail_json(
            msg=render(plan.problems), problems=[asdict(problem) for problem in plan.problems], **facts(plan)
        )
    record = plan.move.directory if plan.move else ""
    if module.params["state"] == "planned" or module.check_mode or not plan.needed:
        return plan, plan.needed and module.params["state"] != "planned", record
    with move_record.locked(parent):
        if module.params["state"] == "copied":
            return plan, plan.files > 0, mover.copy(plan).directory
        return plan, True, mover.finish(plan).directory


def facts(plan: Plan) -> dict[str, Any]:
    """Return what is known before anything is done."""
    return {
        "source": asdict(plan.source),
        "target": asdict(plan.target),
        "rows": dict(plan.rows),
        "mentions": dict(plan.mentions),
        "files": plan.files,
        "bytes": plan.bytes,
    }


def serve(params: dict[str, Any], variables: dict[str, str]) -> dict[str, Any]:
    """Ask the server for what was moved last, and return what the module returns.  Raises MoveError."""
    move = move_record.last(params["record_directory"])
    if move is None:
        return {"served": 0, "unasked": "no move is recorded"}
    root = move.source if move.phase == move_record.UNDONE else move.target
    with move_database.opened(variables["MLFLOW_BACKEND_STORE_URI"]) as database:
        samples = move_proof.samples(database.runs(), read_list(move.files), root, params["sample"])
    api = TrackingApi(move_proof.access(variables))
    try:
        wrong = list(filter(None, (move_proof.ask(api, sample) for sample in samples)))
    except ApiError as error:
        return {"served": 0, "unasked": str(error)}
    if wrong:
        raise artifact_mover.MoveError(
            "; ".join(wrong) + f". The files are in {root.directory}, the record in {move.directory}: is that the "
            "root that the server is configured with, and may its account read it? To go back: set the inventory to "
            "the old root and add mlflow_artifact_move_undo=true"
        )
    return {"served": len(samples), "unasked": ""}


def diff(plan: Plan) -> dict[str, str]:
    """Return what --diff shows."""
    if not plan.needed:
        return {"before": "", "after": ""}
    counts = "".join(f"  {count} values of {column}\n" for column, count in plan.rows.items())
    return {
        "before": f"artifacts in {plan.source.directory} ({plan.source.access})\n",
        "after": f"artifacts in {plan.target.directory} ({plan.target.access})\n"
        f"  {plan.files} files, {plan.bytes} bytes to copy\n{counts}",
    }


def main() -> None:
    root_access = {"type": "str", "choices": ["direct", "proxied"]}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["planned", "copied", "moved", "served"], "default": "planned"},
            "environment_file": {"type": "path", "required": True},
            "record_directory": {"type": "path", "required": True},
            "target_access": {**root_access, "required": True},
            "target_directory": {"type": "str", "required": True},
            "source_access": root_access,
            "source_directory": {"type": "str", "default": ""},
            "user": {"type": "str", "default": ""},
            "undo": {"type": "bool", "default": False},
            "accepted_columns": {"type": "list", "elements": "str", "default": []},
            "verify_every": {"type": "int", "default": 1},
            "sample": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    if move_database.SQLALCHEMY_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("sqlalchemy"), exception=move_database.SQLALCHEMY_IMPORT_ERROR)
    params = module.params
    if params["source_directory"] and not params["source_access"]:
        module.fail_json(msg="source_access is missing: say who writes artifacts in source_directory")
    os.umask(0o077)
    try:
        with open(params["environment_file"], encoding="utf-8", errors="surrogateescape") as stream:
            variables = environment.parse(stream.read())
        if params["state"] == "served":
            module.exit_json(changed=False, **serve(params, variables))
        mover = Mover(variables, params["record_directory"], wish(params))
        plan, changed, record = act(module, mover, params["record_directory"])
    except (artifact_mover.MoveError, CopyError, move_record.BusyError, KeyError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    except move_database.DATABASE_ERRORS as error:
        module.fail_json(msg=move_database.told(error))
    module.exit_json(
        changed=changed,
        needed=plan.needed,
        record=record,
        single=any(uri.startswith("sqlite:") for uri in artifact_mover.stores(variables).values()),
        diff=diff(plan),
        **facts(plan),
    )


if __name__ == "__main__":
    main()
