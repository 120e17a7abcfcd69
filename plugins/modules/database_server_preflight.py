#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_server_preflight
short_description: Judge whether a host can have MLflow's database as wished
version_added: 1.0.0
description:
  - Looks at the host and at the inputs of the role P(selfhosted.mlflow.mlflow_database#role), and fails
    with all problems at once, each with what was found, why it is wrong and what to write instead.
  - A running server is asked whether the user and the database belong to something else.
  - Changes nothing.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  engine:
    description: V(postgresql), or V(mysql) for MariaDB.
    type: str
    choices: [postgresql, mysql]
    required: true
  release:
    description: Version of the distribution's PostgreSQL, V("") for a distribution that is not known.
    type: str
    required: true
  name:
    description: Name of the database.
    type: str
    required: true
  user:
    description: Its user.
    type: str
    required: true
  secret:
    description: What kind of password there is; the password itself stays on the controller.
    type: str
    choices: [none, ascii, unicode, no_text]
    default: none
  port:
    description: Port of the server.
    type: int
    required: true
  clients:
    description: Addresses, networks and names of the hosts that may connect.
    type: list
    elements: str
    default: []
  listen_addresses:
    description: Addresses to listen on for them.
    type: list
    elements: str
    default: ["*"]
  tls_required:
    description: Whether clients of other hosts must use TLS.
    type: bool
    default: true
  tls_certificate:
    description: File of the certificate, or V("").
    type: str
    default: ""
  tls_key:
    description: File of its key, or V("").
    type: str
    default: ""
  max_connections:
    description: How many connections the server is to let in, V(0) to leave it.
    type: int
    default: 0
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    details: Debian only.
"""

EXAMPLES = r"""
- name: Preflight | Judge the inputs on this host
  selfhosted.mlflow.database_server_preflight:
    engine: postgresql
    release: "15"
    name: mlflow
    user: mlflow
    secret: ascii
    port: 5432
    clients: [mlflow.example.org]
    tls_certificate: /etc/ssl/db.pem
    tls_key: /etc/ssl/private/db.key
"""

RETURN = r"""
server_missing:
  description: Whether the database server is yet to be installed.
  returned: success
  type: bool
directory:
  description: Directory of the configuration of PostgreSQL's cluster, or what it will be.
  returned: success
  type: str
  sample: /etc/postgresql/15/main
service:
  description: The server's unit.
  returned: success
  type: str
  sample: postgresql@15-main.service
remote:
  description: Whether other hosts may connect.
  returned: success
  type: bool
clients:
  description: Whom to let in.
  returned: success
  type: list
  elements: dict
  contains:
    network:
      description: The address or network.
      type: str
    account_host:
      description: The same as MariaDB writes it.
      type: str
    tls:
      description: Whether TLS is asked of it.
      type: bool
problems:
  description: What is wrong.
  returned: failure
  type: list
  elements: dict
  contains:
    found:
      description: The input and its value, or the state of the host.
      type: str
    why:
      description: What would go wrong.
      type: str
    instead:
      description: What to write or do.
      type: str
"""

import ipaddress
import os
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    database_rules,
    database_server,
    database_server_rules,
    name_service,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render


def is_name(client: str) -> bool:
    """Whether a client is neither an address nor a network."""
    try:
        ipaddress.ip_network(client, strict=False)
    except ValueError:
        return True
    return False


def main() -> None:
    """Gather the evidence, judge, and fail with everything that is wrong."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "choices": ["postgresql", "mysql"], "required": True},
            "release": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "secret": {"type": "str", "choices": list(database_rules.KINDS), "default": "none", "no_log": False},
            "port": {"type": "int", "required": True},
            "clients": {"type": "list", "elements": "str", "default": []},
            "listen_addresses": {"type": "list", "elements": "str", "default": ["*"]},
            "tls_required": {"type": "bool", "default": True},
            "tls_certificate": text,
            "tls_key": {**text, "no_log": False},
            "max_connections": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in module.params.items()
    }
    wish = database_server_rules.Wish(**given)
    seen: dict[str, Any] = {
        "clusters": database_server.clusters() if wish.engine == "postgresql" else (),
        "resolved": {client: tuple(name_service.addresses(client)) for client in wish.clients if is_name(client)},
        "missing_files": tuple(
            path for path in (wish.tls_certificate, wish.tls_key) if path and not os.path.isfile(path)
        ),
    }
    problems = database_server_rules.judge(wish, database_server_rules.Evidence(**seen))
    if not problems:
        # Only now are the names fit to stand in a question.
        seen.update(database_server.look(wish.engine, wish.name, wish.user, wish.port))
        problems = database_server_rules.judge(wish, database_server_rules.Evidence(**seen))
    evidence = database_server_rules.Evidence(**seen)
    if problems:
        module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])
    cluster = database_server_rules.cluster(wish, evidence)
    clients = database_server_rules.networks(wish, evidence)
    module.exit_json(
        changed=False,
        server_missing=not (evidence.clusters if wish.engine == "postgresql" else os.path.exists("/usr/sbin/mariadbd")),
        directory=cluster.directory,
        service=cluster.service if wish.engine == "postgresql" else "mariadb.service",
        remote=any(not client.is_loopback for client in clients),
        clients=database_server_rules.let_in(wish, evidence),
    )


if __name__ == "__main__":
    main()
