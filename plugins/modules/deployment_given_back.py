#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_given_back
short_description: Give a host back to the MLflow server that was there before
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - For an adoption by M(selfhosted.mlflow.deployment_adopted) that failed when the old server was stopped already and
    the new one did not get to run.
  - Stops the new server, renames its settings, its unit and its copy of the database, so that the next attempt begins
    anew, puts the file of the old unit back where it was replaced, and starts the unit.
  - A server that had no unit is not started, for nobody knows its environment any more; RV(command) tells how it ran.
    The record and the copy of its database stay, so that the next attempt goes on.
  - Changes nothing where there is no record yet, for the old server runs as before.
  - Fails, and changes nothing, where the old server's database was migrated, or is half migrated.
options:
  record_directory:
    description: Directory of the record that M(selfhosted.mlflow.deployment_adopted) has written.
    type: path
    required: true
  target_database:
    description: Where the new server looks for its SQLite database.
    type: path
    required: true
  environment_file:
    description: Where the new server's settings are.
    type: path
    required: true
  install_root:
    description: Where this collection installs its releases, with the journal of migrations.
    type: path
    default: /opt/mlflow
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
- name: Give the host back to the old server
  selfhosted.mlflow.deployment_given_back:
    record_directory: /var/backups/mlflow/adopted
    target_database: /var/lib/mlflow/backend/mlflow.db
    environment_file: /etc/mlflow/server.env
"""

RETURN = r"""
aside:
  description: What the new server left, by its new names.
  returned: success
  type: list
  elements: str
unit:
  description: The old server's unit, which was started; empty where it had none.
  returned: success
  type: str
command:
  description: How a server without a unit was started, without its environment and passwords.
  returned: success
  type: str
host:
  description: Address that the old server listens at.
  returned: success
  type: str
port:
  description: Port that the old server listens at.
  returned: success
  type: int
"""

import json
import os
import time
from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adoption_undo, releases, upgrade_journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption_undo import StuckError


def main() -> None:
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "record_directory": path,
            "target_database": path,
            "environment_file": path,
            "install_root": {"type": "path", "default": "/opt/mlflow"},
        },
        supports_check_mode=True,
    )

    def systemctl(arguments: Sequence[str]) -> tuple[int, str]:
        code, out, err = module.run_command(["systemctl", *arguments])
        return code, out or err

    record = os.path.join(module.params["record_directory"], "deployment.json")
    mark = time.strftime(".not-adopted-%Y%m%dT%H%M%SZ", time.gmtime())
    if not os.path.exists(record):
        # It is written before anything is stopped.
        module.exit_json(changed=False, aside=[], unit="", command="", host="", port=0)
    try:
        with open(record, encoding="utf-8") as stream:
            recorded = json.load(stream)
        found, was = recorded["deployment"], adoption_undo.read(recorded.get("before", {}))
        journal = upgrade_journal.read(releases.Layout(module.params["install_root"]).journal)
        adoption_undo.refuse_midway(journal, was, bool(found["database_file"]))
        new = adoption_undo.files_of_new(module.params["environment_file"], module.params["target_database"])
        # Nobody writes to the database of a server that is not started: its copy is the newest there is.
        wanted = (*new, record) if found["unit"] else new[:2]
        aside: tuple[str, ...] = ()
        if not module.check_mode:
            aside = adoption_undo.give_back(found["unit"], was, wanted, mark, systemctl)
    except (StuckError, OSError, ValueError, KeyError) as error:
        module.fail_json(msg=f"the host could not be given back to the old server: {error}")
    host = found["host"]
    module.exit_json(
        changed=True,
        aside=list(aside),
        unit=found["unit"],
        command=was.command,
        # What listens at all addresses is asked at this one.
        host="127.0.0.1" if host in ("0.0.0.0", "::") else host,
        port=found["port"],
    )


if __name__ == "__main__":
    main()
