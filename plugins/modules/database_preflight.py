#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_preflight
short_description: Ask databases whether a server can use them
version_added: 1.0.0
description:
  - Connects to each database once, from this host, as the service's account and with the drivers of the server's
    own virtual environment.
  - Fails when one can't be used, or lets in fewer connections than the servers may open.
  - Changes nothing. In check mode a database that can't be used is a warning, for it may be set up by the same run;
    without the virtual environment nothing is asked.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  python:
    description: The interpreter of the server's virtual environment.
    type: path
    required: true
  user:
    description: Account of the service.
    type: str
    required: true
  stores:
    description:
      - Address of the database of each store of the server, in SQLAlchemy's notation. An address that stands here
        twice has two pools of connections.
    type: list
    elements: str
    required: true
  environment:
    description: Environment variables of the server that its drivers may read.
    type: dict
    default: {}
  workers:
    description: Worker processes of each server.
    type: int
    default: 1
  pool_size:
    description: Connections that each pool keeps.
    type: int
    default: 5
  pool_overflow:
    description: Connections that each may open beyond these.
    type: int
    default: 40
  servers:
    description: How many servers of the same settings share the databases.
    type: int
    default: 1
  jobs:
    description:
      - Whether the servers run jobs, which MLflow does by default. The processes that do have connections of their own
        to the first of O(stores).
    type: bool
    default: false
  timeout:
    description: Seconds until all must have answered.
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
"""

EXAMPLES = r"""
- name: Ask the database
  selfhosted.mlflow.database_preflight:
    python: /opt/mlflow/current/bin/python
    user: mlflow
    # Runs and the model registry.
    stores:
      - "{{ mlflow_server_backend_store_uri }}"
      - "{{ mlflow_server_backend_store_uri }}"
    workers: 4
"""

RETURN = r"""
databases:
  description: What the databases say of themselves, one for each address. Empty when nothing was asked.
  returned: success
  type: list
  elements: dict
  contains:
    where:
      description: Database, host and user, without the password.
      type: str
    engine:
      description: SQLAlchemy's name of the engine.
      type: str
    version:
      description: The database server's version.
      type: str
    max_connections:
      description: How many connections the database server lets in.
      type: int
    reserved:
      description: How many of them are kept for administrators.
      type: int
    user_limit:
      description: The user's own limit, V(-1) for none.
      type: int
    database_limit:
      description: The database's own limit, V(-1) for none.
      type: int
    tls:
      description: Whether the connection was encrypted.
      type: bool
    may_create:
      description: Whether the user may create tables. Not asked of MySQL.
      type: bool
    error:
      description: In check mode, the name and text of the driver's exception instead.
      type: dict
problems:
  description: What is wrong, each with RV(ignore:found), RV(ignore:why) and RV(ignore:instead).
  returned: always
  type: list
  elements: dict
"""

import json
import os
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    database_probe,
    database_probe_program,
    environment,
    program,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render


def main() -> None:
    """Ask, judge, and fail with everything that is wrong."""
    module = AnsibleModule(
        argument_spec={
            "python": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "stores": {"type": "list", "elements": "str", "required": True, "no_log": True},
            "environment": {"type": "dict", "default": {}, "no_log": True},
            "workers": {"type": "int", "default": 1},
            "pool_size": {"type": "int", "default": 5},
            "pool_overflow": {"type": "int", "default": 40},
            "servers": {"type": "int", "default": 1},
            "jobs": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    params, stores = module.params, module.params["stores"]
    who = program.user(params["user"])
    if module.check_mode and (who is None or not os.access(params["python"], os.X_OK)):
        module.exit_json(changed=False, databases=[], problems=[])
    addresses = list(dict.fromkeys(stores))
    settings = {name: environment.as_text(value) for name, value in params["environment"].items()}
    command = [params["python"], "-I", "-c", program.source(database_probe_program)]
    try:
        ended = program.run(command, json.dumps(addresses), {"PATH": os.defpath, **settings}, params["timeout"], who)
        answers = database_probe.parse(ended.out)
    except program.TooSlowError as error:
        answers = [{"where": "the database", "error": {"name": "timeout", "text": f"timed out: {error}"}}]
        answers *= len(addresses)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{params['python']} could not ask the databases: {error}")
    demand = database_probe.Demand(
        params["workers"], params["pool_size"], params["pool_overflow"], params["servers"], params["jobs"]
    )
    problems = database_probe.judge(stores, dict(zip(addresses, answers)), demand)
    told = [asdict(problem) for problem in problems]
    if problems and not module.check_mode:
        module.fail_json(msg=render(problems, "before the server was restarted"), problems=told)
    for problem in problems:
        module.warn(f"would be refused, unless this run changes it first: {problem}")
    module.exit_json(changed=False, databases=answers, problems=told)


if __name__ == "__main__":
    main()
