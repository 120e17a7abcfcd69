#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_upgrade
short_description: Bring an MLflow server to another release, with its database, or back
version_added: 1.0.0
description:
  - Switches a server of the role P(selfhosted.mlflow.mlflow_server#role) to a release that
    M(selfhosted.mlflow.locked_virtualenv) has built beside the one in use.
  - Where the release wants another schema of the database, the server is stopped, the databases are dumped and
    migrated, the link C(ROOT/current) is switched, the server started, and asked for an experiment and a run that
    were there before. Where it wants the same schema, the server is stopped, switched and started.
  - When anything of that fails, the dump is restored, the link switched back, the old release started and asked for
    the same. The module then fails, and says why, and where the dump and the log are.
  - Each step stands in C(ROOT/upgrade.json) before it is begun. A run that was killed, with its host or without, is
    taken up by the next one. Until the new release is started it is taken back, and then begun anew; from there on
    it is finished.
  - On a host without a server's settings it only switches the link.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  root:
    description: Absolute path of the directory that holds the releases, with the programs in C(libexec/).
    type: path
    required: true
  release:
    description: Name of the release to use, as M(selfhosted.mlflow.locked_virtualenv) returns it.
    type: str
    required: true
  environment_file:
    description: Absolute path of the server's settings, which name its databases.
    type: path
    required: true
  user:
    description: Account of the service, which the dumps and the migration run as.
    type: str
    required: true
  unit:
    description: The service.
    type: str
    default: mlflow.service
  backups:
    description: Absolute path of the directory of the dumps and logs. It is made where it is absent.
    type: path
    required: true
  start_timeout:
    description: Seconds that a start may take until the API answers.
    type: int
    default: 180
  migration_timeout:
    description: Seconds that a dump, the migration, and a restore may take each.
    type: int
    default: 3600
  look:
    description:
      - Whether to ask the database for its schema also while the service runs from O(release).
      - Without, a running service is taken to have found the schema that it wants, as it has when it started.
    type: bool
    default: false
  hold:
    description:
      - Only stop the server where O(release) is to migrate its database, and keep it from starting until the module
        runs again. For several servers with one database - stop all, let one migrate, then the others.
    type: bool
    default: false
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Before the release is built, the schema that it wants is not known.
  diff_mode:
    support: full
  platform:
    platforms: posix
    details: Linux with systemd.
seealso:
  - module: selfhosted.mlflow.locked_virtualenv
"""

EXAMPLES = r"""
- name: Build the release
  selfhosted.mlflow.locked_virtualenv:
    root: /opt/mlflow
    name: mlflow-3.17.2
    requirements: "{{ lookup('ansible.builtin.file', 'locks/mlflow-3.17.2-py3.11.txt') }}"
    uv_requirements: "{{ lookup('ansible.builtin.file', 'locks/uv.txt') }}"
    activate: false
  register: built

- name: Switch to it
  selfhosted.mlflow.server_upgrade:
    root: /opt/mlflow
    release: "{{ built.release }}"
    environment_file: /etc/mlflow/server.env
    user: mlflow
    backups: /var/backups/mlflow/upgrades
"""

RETURN = r"""
previous:
  description: Name of the release that was in use before, or V(none).
  returned: success
  type: str
  sample: mlflow-3.1.4-ba9876543210
upgraded:
  description: Whether a server was brought to another release or schema.
  returned: success
  type: bool
migrated:
  description: Whether a database was migrated.
  returned: success
  type: bool
recovered:
  description: How an upgrade that an earlier run had left ended, or ''.
  returned: success
  type: str
  sample: the upgrade to mlflow-3.17.2-0123456789ab that was interrupted at the step 'dump' was taken back
postponed:
  description:
    - Whether the database was not looked at, since the server does not run and may want new settings first. Write them,
      and run again with O(look).
  returned: success
  type: bool
backup:
  description: Directory of the dump, or ''.
  returned: success, and failure after the upgrade was begun
  type: str
  sample: /var/backups/mlflow/upgrades/20261121T020000Z-3.1.4-to-3.17.2
log:
  description: File of all that the steps said, for root only.
  returned: success, and failure after the upgrade was begun
  type: str
  sample: /var/backups/mlflow/upgrades/20261121T020000Z-3.1.4-to-3.17.2.log
downtime:
  description: Seconds from the stop of the old release to the answer of the new one.
  returned: success
  type: float
  sample: 21.5
problems:
  description: Why it was not begun, each with what was found, why it is wrong, and what to do instead.
  returned: failure before anything was changed
  type: list
  elements: dict
"""

import os
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, upgrade_run
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_host import Host
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_programs import (
    RefusedError,
    Settings,
    StepError,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "environment_file": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "unit": {"type": "str", "default": "mlflow.service"},
            "backups": {"type": "path", "required": True},
            "start_timeout": {"type": "int", "default": 180},
            "migration_timeout": {"type": "int", "default": 3600},
            "look": {"type": "bool", "default": False},
            "hold": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    release, look, hold = (given.pop(name) for name in ("release", "look", "hold"))
    host = Host(Settings(**given, path=os.environ.get("PATH", os.defpath)))
    built = release in releases.scan(host.layout).complete
    try:
        if hold:
            outcome = upgrade_run.hold(host, release, module.check_mode)
        elif module.check_mode:
            outcome = upgrade_run.predict(host, release, built, look)
        elif built:
            outcome = upgrade_run.run(host, release, look)
        else:
            module.fail_json(msg=f"there is no finished release {release} in {host.layout.venvs}")
    except RefusedError as error:
        module.fail_json(msg=render(error.problems), problems=[asdict(problem) for problem in error.problems])
    except upgrade_run.FailedError as error:
        module.fail_json(msg=str(error), backup=error.journal.backup, log=error.journal.log)
    except (StepError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    result = asdict(outcome)
    diff = {name: result.pop(name) for name in ("before", "after")}
    module.exit_json(**result, diff={**diff, "before_header": host.layout.current, "after_header": host.layout.current})


if __name__ == "__main__":
    main()
