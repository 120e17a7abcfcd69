#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_adopted
short_description: Take over an MLflow server that was set up by hand
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Finds the server by its process, tells its database and artifacts from the arguments, the environment and the
    directory of the process, stops it with SIGTERM, and copies its SQLite database to where a new server looks for it.
  - The old database is only read, and only while nobody has it open. A copy of it is kept in O(record_directory).
  - What was found is recorded, so that a run that was interrupted can be repeated after the process has ended.
options:
  state:
    description:
      - V(found) changes nothing.
      - V(recorded) writes down what was found, with the text of its unit, so that it is known after the server has
        been stopped.
      - V(copied) stops the server and copies its database.
      - V(verified) changes nothing and fails where O(target_database) has less than the old one had.
    type: str
    choices: [found, recorded, copied, verified]
    default: found
  user:
    description: Account that runs the server, where several run. When empty, the only one is taken.
    type: str
    default: ""
  database:
    description: SQLite file of a server that does not run. When empty, a process is looked for.
    type: path
  artifact_directory:
    description: Directory of its artifacts. Needed with O(database).
    type: path
  artifact_access:
    description: Who wrote artifacts there, the clients themselves or the server for them. Read with O(database).
    type: str
    choices: [direct, proxied]
    default: direct
  target_database:
    description: Where the new server looks for its SQLite database.
    type: path
    required: true
  backend_store_uri:
    description:
      - Address of the new server's database without its password, where it is not O(target_database). Another database
        than the old server's is refused.
    type: str
    default: ""
  owner:
    description: Account of the new server.
    type: str
    required: true
  version:
    description: Release of the new server. An older one than the old server's is refused.
    type: str
    required: true
  install_root:
    description: Where this collection installs its releases; a server from there is not taken over.
    type: path
    default: /opt/mlflow
  record_directory:
    description: Directory of the record and of the copy that is kept.
    type: path
    required: true
  environment_file:
    description:
      - Where the new server's settings will be. Recorded is whether they were there before, for
        M(selfhosted.mlflow.deployment_given_back).
    type: path
    default: /etc/mlflow/server.env
  timeout:
    description: Seconds that the server may take to end.
    type: float
    default: 60
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    details: Linux only.
"""

EXAMPLES = r"""
- name: Tell what would be taken over
  selfhosted.mlflow.deployment_adopted:
    target_database: /var/lib/mlflow/backend/mlflow.db
    owner: mlflow
    version: 3.17.2
    record_directory: /var/backups/mlflow/adopted
"""

RETURN = r"""
deployment:
  description: The old server, its database's address without the password.
  returned: success
  type: dict
variables:
  description: What to put into the inventory, so that clients find the new server where the old one was.
  returned: success
  type: dict
running:
  description: Whether the old server runs.
  returned: success
  type: bool
copied:
  description: Whether its database was taken over already, now or in an earlier run.
  returned: success
  type: bool
counts:
  description: The rows of its SQLite database by table.
  returned: success
  type: dict
"""

import glob
import json
import os
import pwd
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    adoption,
    adoption_rules,
    adoption_undo,
    deployment,
    whole_file,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption import AdoptionError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption_rules import Evidence, Wish
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption_undo import Before
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Deployment, Process
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Owner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render


class Adoption:
    """What is known of the old server: ``found``, its process while it runs, and the record."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.params: dict[str, Any] = module.params
        self._path = os.path.join(self.params["record_directory"], "deployment.json")
        record = self._recorded()
        self.recorded = bool(record)
        self.copied = bool(record.get("copied"))
        self.counts: dict[str, int] = record.get("counts", {})
        self.before: Before = adoption_undo.read(record.get("before", {}))
        self.server: Optional[Process] = None
        if record:
            self.found = Deployment(**record["deployment"])
            now = deployment.process(self.found.pid)
            if not self.copied and now and deployment.serves(now.argv):
                self.server = now
        else:
            self.found = self._given() if self.params["database"] else self._running()
        # Not in vain before each step, and after the last one the inventory may change.
        if self.params["state"] == "found":
            self._refuse(self._runs_again() if self.copied else self._problems(self.found))

    def _recorded(self) -> dict[str, Any]:
        try:
            with open(self._path, encoding="utf-8") as stream:
                return dict(json.load(stream))
        except FileNotFoundError:
            return {}

    def _given(self) -> Deployment:
        if not self.params["artifact_directory"]:
            self._module.fail_json(msg="artifact_directory is missing: say where the artifacts of the old server are")
        return Deployment(
            pid=0,
            uid=os.stat(self.params["database"]).st_uid,
            unit="",
            version="",
            database=f"sqlite:///{self.params['database']}",
            database_file=self.params["database"],
            artifact_access=self.params["artifact_access"],
            artifact_directory=self.params["artifact_directory"],
        )

    def _servers(self) -> list[Process]:
        # Others may have put theirs beside them.
        ours = tuple(os.path.join(self.params["install_root"], name, "") for name in ("venvs", "current"))
        return [one for one in deployment.running() if not any(word.startswith(ours) for word in one.argv)]

    def _runs_again(self) -> list[Problem]:
        running = {
            one.pid: deployment.Judge(one, "", has_file_store=False).deployment().database_file
            for one in self._servers()
        }
        target = self.params["target_database"]
        return adoption_rules.runs_again(self.found.database_file, running, target, self._path)

    def _running(self) -> Deployment:
        user = self.params["user"]
        uid = pwd.getpwnam(user).pw_uid if user else None
        servers = [one for one in self._servers() if uid in (None, one.uid)]
        if len(servers) != 1:
            self._refuse([adoption_rules.not_one({one.pid: one.uid for one in servers}, user)])
        self.server = servers[0]
        version = deployment.installed_version(self.server)
        has_file_store = os.path.isdir(os.path.join(self.server.directory, "mlruns"))
        judge = deployment.Judge(self.server, version, has_file_store)
        found = judge.deployment()
        self._refuse(judge.problems)
        return found

    def _problems(self, found: Deployment) -> list[Problem]:
        given, file = self.params, found.database_file
        has_file = not file or os.path.isfile(file)
        copies = (given["record_directory"], os.path.dirname(given["target_database"]))
        evidence = Evidence(
            has_database_file=has_file,
            room=adoption.room_problem(file, copies) if file and has_file else None,
            unreadable=adoption.unreadable(found.artifact_directory, owner(given["owner"])),
            drop_ins=[path for pattern in adoption_rules.DROP_INS for path in glob.glob(pattern)],
        )
        wish = Wish(given["version"], given["owner"], given["target_database"], given["backend_store_uri"])
        return adoption_rules.judge(found, wish, evidence)

    def _refuse(self, problems: list[Problem]) -> None:
        if problems:
            self._module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])

    def remember(self) -> None:
        """Record what was found, and how far it is."""
        whole_file.make_directory(self.params["record_directory"], 0o700)
        if not self.recorded:
            self.before = self._before()
        if self.found.unit and not self.recorded:
            # With its drop-ins; the new unit may have its name.
            text = self._module.run_command(["systemctl", "cat", "--", self.found.unit], check_rc=True)[1]
            whole_file.write(os.path.join(self.params["record_directory"], self.found.unit), text)
        state = {
            "deployment": asdict(self.found),
            "counts": self.counts,
            "copied": self.copied,
            "before": asdict(self.before),
        }
        whole_file.write(self._path, json.dumps(state, indent=1))
        self.recorded = True

    def _before(self) -> Before:
        def systemctl(arguments: Sequence[str]) -> tuple[int, str]:
            code, out, _err = self._module.run_command(["systemctl", *arguments])
            return code, out

        files = adoption_undo.files_of_new(self.params["environment_file"], self.params["target_database"])
        return adoption_undo.look(files, self.found.unit, self.server, systemctl, time.time())

    def take(self) -> None:
        """Stop the server and copy its database.  Raises AdoptionError, OSError."""
        if self.server and self.found.unit:
            raise AdoptionError(f"{self.found.unit} runs: stop it first, for systemd may start it again")
        self.remember()
        if self.server:
            adoption.terminate(self.server, deployment.processes, self.params["timeout"])
        if self.found.database_file:
            copy = adoption.back_up(self.found.database_file, os.path.join(self.params["record_directory"], "database"))
            self.counts = adoption.counts(copy)
            account = pwd.getpwnam(self.params["owner"])
            adoption.put(copy, self.params["target_database"], account.pw_uid, account.pw_gid)
        self.copied = True
        self.remember()

    def verify(self) -> None:
        """Fail where anything is gone."""
        if self.found.database_file:
            gone = adoption.missing(self.counts, adoption.counts(self.params["target_database"]))
            if gone:
                self._module.fail_json(
                    msg="; ".join(gone) + f"; the old database is in {self.params['record_directory']}"
                )


def owner(name: str) -> Optional[Owner]:
    """Return an account's numbers, None when there is no such account yet."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    return Owner(account.pw_uid, account.pw_gid, tuple(os.getgrouplist(name, account.pw_gid)))


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["found", "recorded", "copied", "verified"], "default": "found"},
            "user": {"type": "str", "default": ""},
            "database": {"type": "path"},
            "artifact_directory": {"type": "path"},
            "artifact_access": {"type": "str", "choices": ["direct", "proxied"], "default": "direct"},
            "target_database": {"type": "path", "required": True},
            "backend_store_uri": {"type": "str", "default": ""},
            "owner": text,
            "version": text,
            "install_root": {"type": "path", "default": "/opt/mlflow"},
            "record_directory": {"type": "path", "required": True},
            "environment_file": {"type": "path", "default": "/etc/mlflow/server.env"},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    changed = False
    try:
        known = Adoption(module)
        running = known.server is not None
        if module.params["state"] == "recorded" and not known.recorded:
            changed = True
            if not module.check_mode:
                known.remember()
        elif module.params["state"] == "copied" and not known.copied:
            changed = True
            if not module.check_mode:
                known.take()
        elif module.params["state"] == "verified":
            known.verify()
    except (AdoptionError, OSError, ValueError, KeyError, TypeError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=changed,
        deployment=asdict(known.found),
        variables=deployment.variables(known.found),
        running=running,
        copied=known.copied,
        counts=known.counts,
    )


if __name__ == "__main__":
    main()
