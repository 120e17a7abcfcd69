#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nfs_mount_point
short_description: Judge and guard the directory on which an NFS share is mounted
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Looks at one mount point as a whole - what is mounted there, from which source and with which
    options, what lies beneath, and who else claims it - and fails with everything that stands in the way.
  - With O(state=guarded) makes the bare directory and guards it with mode C(0000) and the immutable
    flag, so that nothing can be written there while the share is absent. Also beneath a mount.
  - Does not mount; a systemd unit does. With O(state=mounted) waits until it has.
  - Whatever may touch the share runs in a child process with a deadline, so a dead server never
    makes the module hang.
options:
  path:
    description: Absolute path of the mount point.
    type: path
    required: true
  source:
    description: The share, C(HOST:/PATH), an IPv6 address in brackets.
    type: str
    required: true
  options:
    description: Mount options wanted, separated by commas, as in M(ansible.posix.mount).
    type: str
    default: ''
  automount:
    description: Whether the share is to be mounted on first use.
    type: bool
    default: false
  replace:
    description:
      - Whether another source, or the same with other options, that is mounted on O(path) is unmounted.
      - Otherwise that is an error.
    type: bool
    default: false
  allow_soft:
    description: Whether V(soft) among O(options) is accepted.
    type: bool
    default: false
  state:
    description:
      - V(guarded) judges, unmounts what is to be replaced, and guards the bare directory.
      - V(mounted) waits up to O(timeout) until O(source) is mounted on O(path) and answers; it changes nothing.
    type: str
    choices: [guarded, mounted]
    default: guarded
  timeout:
    description: Seconds to wait for the share.
    type: float
    default: 45
attributes:
  check_mode:
    description: Can predict changes without making them.
    support: full
  diff_mode:
    description: Shows the mount and its bare directory.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
notes:
  - Needs root.
  - Run it with C(check_mode) set to V(true) as a preflight.
"""

EXAMPLES = r"""
- name: Guard the bare mount point
  selfhosted.mlflow.nfs_mount_point:
    path: /srv/mlflow/artifacts
    source: nas.example.org:/srv/mlflow
    options: nfsvers=4.2,hard
  register: mount_point

- name: Wait until the share answers
  selfhosted.mlflow.nfs_mount_point:
    path: /srv/mlflow/artifacts
    source: nas.example.org:/srv/mlflow
    options: nfsvers=4.2,hard
    state: mounted
    timeout: 45
"""

RETURN = r"""
unit:
  description: The name systemd gives the mount unit of O(path).
  returned: always
  type: str
  sample: srv-mlflow-artifacts.mount
automount_unit:
  description: The name of the automount unit.
  returned: always
  type: str
  sample: srv-mlflow-artifacts.automount
retire:
  description:
    - Which unit of the two is to be stopped and disabled, because it serves O(path) the other way than
      O(automount) wants it; empty for none.
  returned: with O(state=guarded)
  type: str
helper_missing:
  description: Whether the program that mounts NFS is yet to be installed.
  returned: with O(state=guarded)
  type: bool
mounted:
  description: Whether O(source) is mounted on O(path), with O(options).
  returned: always
  type: bool
pending:
  description: What has been or, in check mode, would be done; also the mounting itself, which the unit does.
  returned: always
  type: list
  elements: str
"""

import shutil
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bare_directory, mount_host, nfs_mount
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render

_POLL_SECONDS = 0.5
#: Enough for a server that answers; one that restarts takes longer, which only a real run waits for.
_GLANCE_SECONDS = 10.0
_PROGRAMS = "/usr/sbin:/sbin"


def _fail(module: AnsibleModule, message: str) -> None:
    module.fail_json(msg=message)


def _change(module: AnsibleModule, wish: nfs_mount.Wish, verdict: nfs_mount.Verdict) -> None:
    try:
        if verdict.replace:
            mount_host.unmount(wish.path)
        if any("guard" in step for step in verdict.pending):
            mount_host.look_beneath(wish.path, bare_directory.guard)
    except (OSError, ValueError, NoAnswerError) as error:
        _fail(module, mount_host.explain(wish, error))


def _guarded(module: AnsibleModule, wish: nfs_mount.Wish) -> dict[str, Any]:
    evidence = mount_host.gather(wish)
    verdict = nfs_mount.judge(wish, evidence)
    if verdict.problems:
        _fail(module, render(verdict.problems))
    error = None
    if verdict.mounted:
        error = mount_host.liveness(wish, seconds=_GLANCE_SECONDS if module.check_mode else module.params["timeout"])
        if error and not module.check_mode:
            _fail(module, mount_host.tell(wish, error))
        if error:
            # The play to come may be the one that mends the server.
            module.warn(mount_host.tell(wish, error))
    for warning in verdict.warnings:
        module.warn(warning)
    ours = [step for step in verdict.pending if not step.startswith("mount ")]
    if ours and not module.check_mode:
        _change(module, wish, verdict)
    return {
        "changed": bool(ours),
        "helper_missing": shutil.which("mount.nfs", path=_PROGRAMS) is None,
        "retire": nfs_mount.unit_to_retire(wish, evidence),
        "mounted": verdict.mounted,
        "pending": [*verdict.pending, *(["wait for the share's answer"] if error else [])],
        "diff": {
            "before_header": wish.path,
            "after_header": wish.path,
            "before": "",
            "after": "".join(f"{step}\n" for step in ours),
        },
    }


def _mounted(module: AnsibleModule, wish: nfs_mount.Wish) -> dict[str, Any]:
    deadline = time.monotonic() + module.params["timeout"]
    while True:
        left = max(1.0, deadline - time.monotonic())
        absence = mount_host.not_arrived(wish, left, run=lambda command: str(module.run_command(command)[1]))
        if absence is None:
            evidence = mount_host.gather(wish)
            verdict = nfs_mount.judge(wish, evidence)
            if verdict.problems:
                _fail(module, "\n".join(str(problem) for problem in verdict.problems))
            return {
                "changed": False,
                "mounted": True,
                "pending": [],
            }
        if absence.final or time.monotonic() >= deadline:
            _fail(module, mount_host.tell(wish, absence.reason))
        time.sleep(_POLL_SECONDS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "str", "required": True},
            "options": {"type": "str", "default": ""},
            "automount": {"type": "bool", "default": False},
            "replace": {"type": "bool", "default": False},
            "allow_soft": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["guarded", "mounted"], "default": "guarded"},
            "timeout": {"type": "float", "default": 45},
        },
        supports_check_mode=True,
    )
    params = module.params
    wish = nfs_mount.Wish(
        path=params["path"].rstrip("/") or params["path"],
        source=params["source"],
        options=params["options"],
        automount=params["automount"],
        replace=params["replace"],
        allow_soft=params["allow_soft"],
    )
    work = {"guarded": _guarded, "mounted": _mounted}[params["state"]]
    result = work(module, wish)
    module.exit_json(
        unit=nfs_mount.unit_name(wish.path),
        automount_unit=nfs_mount.unit_name(wish.path, "automount"),
        **result,
    )


if __name__ == "__main__":
    main()
