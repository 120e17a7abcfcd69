#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: server_preflight
short_description: Judge whether an MLflow server can be deployed as wished
version_added: 1.0.0
description:
  - Looks at the host and at the inputs of the role P(selfhosted.mlflow.mlflow_server#role), and fails
    with all problems at once, each with what was found, why it is wrong and what to write instead.
  - Changes nothing.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  install:
    description: What is to be installed.
    type: dict
    required: true
    suboptions:
      version:
        description: The MLflow release.
        type: str
        required: true
      requirements:
        description: The user's own requirements file on the controller, or V("").
        type: str
        default: ""
      requirements_exist:
        description: Whether the controller has that file.
        type: bool
        default: true
      locks:
        description: File names of the locks that ship with the role.
        type: list
        elements: str
        default: []
      extra_packages:
        description: Packages to install besides.
        type: list
        elements: str
        default: []
      python:
        description: Absolute path of the interpreter.
        type: path
        required: true
      python_comes:
        description: Whether that interpreter is a package of the operating system, which is installed when absent.
        type: bool
        default: false
      wheelhouse:
        description: Directory of wheels on the server, or V("").
        type: str
        default: ""
      keep_releases:
        description: How many old releases to keep.
        type: int
        default: 2
      driver:
        description: Driver of an artifact store that the lock is to bring along, or V("").
        type: str
        default: ""
  service:
    description: How the server is to run.
    type: dict
    required: true
    suboptions:
      user:
        description: Account of the service.
        type: str
        required: true
      group:
        description: Group of the service.
        type: str
        required: true
      install_root:
        description: Directory of the virtual environments.
        type: str
        required: true
      config_directory:
        description: Directory of the configuration.
        type: str
        required: true
      state_directory:
        description: Directory of the service's data.
        type: str
        required: true
      cache_directory:
        description: Directory of what the service can lose.
        type: str
        required: true
      backup_directory:
        description: Directory of the dumps that upgrades make.
        type: str
        required: true
      backend_store_uri:
        description: Address of the database, without its password.
        type: str
        required: true
      registry_store_uri:
        description: Address of the model registry's database, without its password, or V("").
        type: str
        default: ""
      bind_address:
        description: Address to listen on.
        type: str
        required: true
      port:
        description: Port to listen on.
        type: int
        required: true
      allowed_hosts:
        description: Host headers that are answered.
        type: list
        elements: str
        required: true
      cors_allowed_origins:
        description: Origins whose scripts may call the server.
        type: list
        elements: str
        default: []
      static_prefix:
        description: What every path begins with, or V("").
        type: str
        default: ""
      workers:
        description: Number of worker processes.
        type: int
        required: true
      memory_max:
        description: Limit of memory in systemd's notation.
        type: str
        required: true
      job_execution:
        description: Whether the server runs jobs.
        type: bool
        default: false
      access_log:
        description: Whether each call is logged.
        type: bool
        default: true
      environment_names:
        description: Names of further environment variables.
        type: list
        elements: str
        default: []
      multiline_names:
        description: Those of them whose value has more than one line.
        type: list
        elements: str
        default: []
      start_timeout:
        description: Seconds that a start may take.
        type: int
        required: true
      stop_timeout:
        description: Seconds that a stop may take.
        type: int
        required: true
      migration_timeout:
        description: Seconds that a migration of the database may take.
        type: int
        required: true
      predecessor:
        description: Number of another server's process that will have ended by then, and left its port; V(0) for none.
        type: int
        default: 0
  database:
    description: How the server is to use its database.
    type: dict
    default: {}
    suboptions:
      parts:
        description: The parts of its address, without the password.
        type: dict
        default: {}
      secret:
        description: What kind of password there is; the password itself stays on the controller.
        type: str
        choices: [none, ascii, unicode, no_text]
        default: none
      uri_given:
        description: Whether an address other than the one of the parts is given, too.
        type: bool
        default: false
      pool_size:
        description: Connections that a pool keeps.
        type: int
        default: 5
      pool_overflow:
        description: Connections that it may open beyond these.
        type: int
        default: 40
      pool_recycle:
        description: Age in seconds at which a connection is replaced, V(-1) for never.
        type: int
        default: 3600
      servers:
        description: How many MLflow servers share the database.
        type: int
        default: 1
      journal_mode:
        description: Journal mode of SQLite's files.
        type: str
        choices: [delete, wal]
        default: delete
  accounts:
    description: How accounts are to be kept.
    type: dict
    default: {}
    suboptions:
      enabled:
        description: Whether users need an account.
        type: bool
        default: false
      admin_username:
        description: Name of the administrator.
        type: str
        default: admin
      admin_password:
        description: What kind of password there is; the password itself stays on the controller.
        type: str
        choices: [none, fine, default, no_text, short, odd]
        default: none
      secret_key:
        description: What kind of key there is.
        type: str
        choices: [none, fine, default, no_text, short, odd]
        default: none
      database_uri:
        description: Address of the accounts' database, without its password.
        type: str
        default: sqlite:////var/lib/mlflow/backend/accounts.db
      same_database:
        description: Whether the runs or models are in that database, too.
        type: bool
        default: false
  tls:
    description: With what the server speaks TLS itself.
    type: dict
    default: {}
    suboptions:
      certificate:
        description: File of the certificate, or V("").
        type: str
        default: ""
      key:
        description: File of its key, or V("").
        type: str
        default: ""
      names:
        description: What clients call the server by.
        type: list
        elements: str
        default: []
  artifacts:
    description: Where artifacts are kept.
    type: dict
    required: true
    suboptions:
      path:
        description: The artifact root.
        type: str
        required: true
      access:
        description: Who writes artifacts, the clients themselves or the server for them.
        type: str
        choices: [direct, proxied]
        required: true
      mount_point:
        description: The mount that the root lies on once everything is deployed, or V("").
        type: str
        default: ""
      clients:
        description: Hosts that use the server, other than itself.
        type: list
        elements: str
        default: []
      store:
        description: Address of the store that they are kept in instead of the root's directory, or V("").
        type: str
        default: ""
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
- name: Preflight | Judge the inputs on this host
  selfhosted.mlflow.server_preflight:
    install:
      version: 3.17.2
      locks: [mlflow-3.17.2-py3.11.txt]
      python: /usr/bin/python3
    service:
      user: mlflow
      group: mlflow
      install_root: /opt/mlflow
      config_directory: /etc/mlflow
      state_directory: /var/lib/mlflow
      cache_directory: /var/cache/mlflow
      backup_directory: /var/backups/mlflow
      backend_store_uri: sqlite:////var/lib/mlflow/backend/mlflow.db
      bind_address: 0.0.0.0
      port: 5000
      allowed_hosts: [mlflow.example.org, "mlflow.example.org:5000"]
      workers: 1
      memory_max: 2G
      start_timeout: 180
      stop_timeout: 30
      migration_timeout: 3600
    artifacts:
      path: /srv/mlflow/artifacts
      access: proxied
"""

RETURN = r"""
python_version:
  description: Version of the interpreter, as in the names of the locks.
  returned: success
  type: str
  sample: "3.11"
packages_missing:
  description: Whether the operating system's packages for making virtual environments must be installed.
  returned: success
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

import os
import pwd
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_root,
    basic_auth_rules,
    certificate,
    database_rules,
    deployment,
    installation,
    listeners,
    mountinfo,
    name_service,
    password_kind,
    server_rules,
    server_tls,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render


def first_symlink(paths: list[str]) -> Optional[tuple[str, str]]:
    """Return the first of the paths that is a symbolic link, and its target."""
    return next(((path, os.readlink(path)) for path in paths if os.path.islink(path)), None)


def uid_of(user: str) -> Optional[int]:
    """Return an account's number, None when there is no such account (yet)."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def leaving(predecessor: int) -> frozenset[int]:
    """Return the processes of a server that will have ended, its workers too."""
    found = deployment.processes() if predecessor else {}
    server = found.get(predecessor)
    return frozenset(one.pid for one in deployment.family(server, found)) if server else frozenset()


def options(spec: str, module: AnsibleModule) -> dict[str, Any]:
    """Return one of the module's dictionaries with tuples for lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in module.params[spec].items()}


def pair(module: AnsibleModule, tls: server_tls.Tls) -> Optional[certificate.Pair]:
    """Return what is in the certificate's files, None when none are named."""

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command([*command])
        return code, out, err

    return certificate.look(tls.certificate, tls.key, run) if tls.certificate and tls.key else None


def argument_spec() -> dict[str, Any]:
    """Return the arguments, whose meaning the documentation has."""
    text, number = {"type": "str", "default": ""}, {"type": "int", "required": True}
    needed, names = {"type": "str", "required": True}, {"type": "list", "elements": "str", "default": []}
    install = {
        "version": needed,
        "requirements": text,
        "requirements_exist": {"type": "bool", "default": True},
        "locks": names,
        "extra_packages": names,
        "python": {"type": "path", "required": True},
        "python_comes": {"type": "bool", "default": False},
        "wheelhouse": text,
        "keep_releases": {"type": "int", "default": 2},
        "driver": text,
    }
    service = {
        "user": needed,
        "group": needed,
        "install_root": needed,
        "config_directory": needed,
        "state_directory": needed,
        "cache_directory": needed,
        "backup_directory": needed,
        "backend_store_uri": needed,
        "registry_store_uri": text,
        "bind_address": needed,
        "port": number,
        "allowed_hosts": {"type": "list", "elements": "str", "required": True},
        "cors_allowed_origins": names,
        "static_prefix": text,
        "workers": number,
        "memory_max": needed,
        "job_execution": {"type": "bool", "default": False},
        "access_log": {"type": "bool", "default": True},
        "environment_names": names,
        "multiline_names": names,
        "start_timeout": number,
        "stop_timeout": number,
        "migration_timeout": number,
        "predecessor": {"type": "int", "default": 0},
    }
    artifacts = {
        "path": needed,
        "access": {"type": "str", "choices": ["direct", "proxied"], "required": True},
        "mount_point": text,
        "clients": names,
        "store": text,
    }
    database = {
        "parts": {"type": "dict", "default": {}},
        "secret": {"type": "str", "choices": list(database_rules.KINDS), "default": "none", "no_log": False},
        "uri_given": {"type": "bool", "default": False},
        "pool_size": {"type": "int", "default": 5},
        "pool_overflow": {"type": "int", "default": 40},
        "pool_recycle": {"type": "int", "default": 3600},
        "servers": {"type": "int", "default": 1},
        "journal_mode": {"type": "str", "choices": ["delete", "wal"], "default": "delete"},
    }
    kind = {"type": "str", "choices": list(password_kind.KINDS), "default": "none", "no_log": False}
    accounts = {
        "enabled": {"type": "bool", "default": False},
        "admin_username": {"type": "str", "default": "admin"},
        "admin_password": kind,
        "secret_key": kind,
        "database_uri": {"type": "str", "default": "sqlite:////var/lib/mlflow/backend/accounts.db"},
        "same_database": {"type": "bool", "default": False},
    }
    return {
        **{
            name: {"type": "dict", "required": True, "options": spec}
            for name, spec in (("install", install), ("service", service), ("artifacts", artifacts))
        },
        "database": {"type": "dict", "default": {}, "options": database},
        "accounts": {"type": "dict", "default": {}, "options": accounts},
        "tls": {
            "type": "dict",
            "default": {},
            "options": {"certificate": text, "key": {**text, "no_log": False}, "names": names},
        },
    }


def main() -> None:
    """Gather the evidence, judge, and fail with everything that is wrong."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    install = installation.Install("mlflow_server", **options("install", module))
    service = server_rules.Service(**options("service", module))
    database = database_rules.Settings(**options("database", module))
    accounts = basic_auth_rules.Accounts(**options("accounts", module))
    root = artifact_root.Root(**options("artifacts", module))
    tls = server_tls.Tls(**options("tls", module))
    mounts = mountinfo.read()
    near = artifact_root.components(root.path, mounts)
    python = installation.look(module.run_command, install)
    evidence = server_rules.Evidence(
        systemd=os.path.isdir("/run/systemd/system"),
        python_version=python.version,
        mounts=mounts,
        symlink=first_symlink(near),
        root_is_other_file=root.path in near and os.path.exists(root.path) and not os.path.isdir(root.path),
        listeners=tuple(listeners.on_port(service.port)),
        bind_address_is_here=name_service.is_here(service.bind_address),
        service_uid=uid_of(service.user),
        leaving=leaving(service.predecessor),
        wheelhouse_exists=os.path.isabs(install.wheelhouse) and os.path.isdir(install.wheelhouse),
    )
    case = server_rules.Case(install, service, database, accounts, root, evidence)
    problems = [*server_rules.judge(case)]
    problems += server_tls.problems(tls, install.version, service.environment_names, pair(module, tls), time.time())
    if problems:
        module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])
    module.exit_json(changed=False, python_version=str(python), packages_missing=not python.complete)


if __name__ == "__main__":
    main()
