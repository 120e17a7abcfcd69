# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mlflow_server refuses before it changes anything."""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_root,
    basic_auth_rules,
    database_rules,
    environment,
    installation,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_uri import database_problems
from ansible_collections.selfhosted.mlflow.plugins.module_utils.listeners import Listener
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

UNIT = "mlflow.service"
_FIRST_FREE_PORT = 1024
_LAST_PORT = 65535
_SHORTEST_START = 30
_SHORTEST_MIGRATION = 60
#: Measured resident memory in MiB: the first worker, each further one, the job runners.
_FIRST_WORKER, _NEXT_WORKER, _JOBS = 480, 280, 1800
_MEMORY = re.compile(r"(?P<number>\d+)(?P<unit>[KMGT]?)")
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[^\s,/@]+")
_ORIGIN = re.compile(r"\*|https?://[^\s,/@]+")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*")

#: Variables that the role writes itself, and the input that sets each.
MANAGED = {
    "HOME": "mlflow_server_cache_directory",
    "MLFLOW_ARTIFACTS_DESTINATION": "mlflow_server_artifact_root",
    "MLFLOW_BACKEND_STORE_URI": "mlflow_server_backend_store_uri",
    "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow_server_artifact_root",
    "MLFLOW_DISABLE_TELEMETRY": "mlflow_server_telemetry",
    "MLFLOW_EXPOSE_PROMETHEUS": "mlflow_server_prometheus",
    "MLFLOW_HOST": "mlflow_server_bind_address",
    "MLFLOW_PORT": "mlflow_server_port",
    "MLFLOW_REGISTRY_STORE_URI": "mlflow_server_registry_store_uri",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow_server_allowed_hosts",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "mlflow_server_cors_allowed_origins",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "mlflow_server_job_execution",
    "MLFLOW_SERVE_ARTIFACTS": "mlflow_server_artifact_access",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "mlflow_server_pool_overflow",
    "MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE": "mlflow_server_pool_recycle",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "mlflow_server_pool_size",
    "MLFLOW_STATIC_PREFIX": "mlflow_server_static_prefix",
    "MLFLOW_WORKERS": "mlflow_server_workers",
}


@dataclass(frozen=True)
class Service:
    """How the server is to run; addresses of databases come without their passwords."""

    user: str = "mlflow"
    group: str = "mlflow"
    install_root: str = "/opt/mlflow"
    config_directory: str = "/etc/mlflow"
    state_directory: str = "/var/lib/mlflow"
    cache_directory: str = "/var/cache/mlflow"
    backup_directory: str = "/var/backups/mlflow"
    backend_store_uri: str = "sqlite:////var/lib/mlflow/backend/mlflow.db"
    registry_store_uri: str = ""
    bind_address: str = "0.0.0.0"
    port: int = 5000
    allowed_hosts: tuple[str, ...] = ("localhost",)
    cors_allowed_origins: tuple[str, ...] = ()
    static_prefix: str = ""
    workers: int = 1
    memory_max: str = "2G"
    job_execution: bool = False
    access_log: bool = True
    environment_names: tuple[str, ...] = ()
    multiline_names: tuple[str, ...] = ()
    start_timeout: int = 180
    stop_timeout: int = 30
    migration_timeout: int = 3600
    predecessor: int = 0

    @property
    def directories(self) -> dict[str, str]:
        """The service's own directories by the name of their input."""
        return {
            "mlflow_server_install_root": self.install_root,
            "mlflow_server_config_directory": self.config_directory,
            "mlflow_server_state_directory": self.state_directory,
            "mlflow_server_cache_directory": self.cache_directory,
            "mlflow_server_backup_directory": self.backup_directory,
        }


@dataclass(frozen=True)
class Evidence:
    """What was found on the host; ``leaving`` are processes that will have ended when the server starts."""

    systemd: bool = True
    python_version: Optional[tuple[int, int]] = (3, 11)
    mounts: tuple[MountEntry, ...] = ()
    symlink: Optional[tuple[str, str]] = None
    root_is_other_file: bool = False
    listeners: tuple[Listener, ...] = ()
    wheelhouse_exists: bool = True
    bind_address_is_here: bool = True
    service_uid: Optional[int] = None
    leaving: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Case:
    """Everything that is judged together."""

    install: installation.Install = field(default_factory=lambda: installation.Install("mlflow_server"))
    service: Service = field(default_factory=Service)
    database: database_rules.Settings = field(default_factory=database_rules.Settings)
    accounts: basic_auth_rules.Accounts = field(default_factory=basic_auth_rules.Accounts)
    root: artifact_root.Root = field(default_factory=lambda: artifact_root.Root("/srv/mlflow/artifacts", "proxied"))
    evidence: Evidence = field(default_factory=Evidence)


def _host(case: Case) -> Iterator[Problem]:
    if not case.evidence.systemd:
        yield Problem(
            "this host was not started by systemd (there is no /run/systemd/system)",
            "the server runs as a systemd service, which starts it at boot and after a failure",
            "deploy on a host or container whose process 1 is systemd",
        )


def _install(case: Case) -> Iterator[Problem]:
    python = installation.Interpreter(case.evidence.python_version, complete=True)
    return installation.problems(case.install, python, case.evidence.wheelhouse_exists)


def _directories(case: Case) -> Iterator[Problem]:
    directories = case.service.directories
    for name, path in directories.items():
        problem = artifact_root.path_problem(name, path)
        if problem:
            yield problem
    for (first, one), (second, other) in itertools.permutations(directories.items(), 2):
        if artifact_root.within(one, other) and (one != other or first < second):
            yield Problem(
                f"{first} ({one}) lies in {second} ({other})",
                "each belongs to another owner and has other permissions",
                "give each a directory of its own",
            )


def _account(case: Case) -> Iterator[Problem]:
    for name, value in (("user", case.service.user), ("group", case.service.group)):
        if value == "root" or not _ACCOUNT.fullmatch(value):
            yield Problem(
                f"mlflow_server_{name} is {value!r}",
                "the server answers a network: it must not be root, nor a name that systemd can't use",
                "use an account of its own, such as mlflow",
            )


def _address(case: Case) -> Iterator[Problem]:
    service = case.service
    try:
        address = str(ipaddress.ip_address(service.bind_address))
    except ValueError:
        yield Problem(
            f"mlflow_server_bind_address is {service.bind_address!r}",
            "the server binds to one address of this host, and this is none",
            "write an IPv4 or IPv6 address without port or brackets: 0.0.0.0 or :: for all, 127.0.0.1 for a proxy only",
        )
        address = ""
    if address and not case.evidence.bind_address_is_here:
        yield Problem(
            f"mlflow_server_bind_address is {address}, which no interface of this host has",
            "the server could not bind to it and would not start",
            "use one of this host's addresses, 0.0.0.0 or :: for all of them, or 127.0.0.1 for a proxy only",
        )
    if not _FIRST_FREE_PORT <= service.port <= _LAST_PORT:
        yield Problem(
            f"mlflow_server_port is {service.port}",
            "ports up to 1023 need rights that the service does not get, and 65535 is the last",
            "use a port from 1024 to 65535, with a reverse proxy for 80 or 443",
        )
    for listener in case.evidence.listeners:
        # Without the rights to see who holds a socket, the account that opened it tells.
        ours = listener.unit == UNIT or (not listener.process and listener.uid == case.evidence.service_uid)
        if not ours and not listener.holders & case.evidence.leaving and listener.blocks(address):
            holder = listener.process or "another process"
            yield Problem(
                f"mlflow_server_port is {service.port}, where {holder} listens"
                + (f" for {listener.unit}" if listener.unit else ""),
                "only one can listen there",
                "stop that process, or choose another mlflow_server_port",
            )
    if service.static_prefix and not _PREFIX.fullmatch(service.static_prefix):
        yield Problem(
            f"mlflow_server_static_prefix is {service.static_prefix!r}",
            "MLflow puts it before every path as it is",
            "begin with a slash and end without one, such as /mlflow, or leave it empty",
        )


def _clients(case: Case) -> Iterator[Problem]:
    service = case.service
    if not service.allowed_hosts:
        yield Problem(
            "mlflow_server_allowed_hosts is empty",
            "MLflow would fall back to localhost and private addresses, and refuse every name with 403",
            "list what clients write into their URL, each with and without port, or leave the input out",
        )
    for host in service.allowed_hosts:
        if not _HOST.fullmatch(host):
            yield Problem(
                f"mlflow_server_allowed_hosts has {host!r}",
                "it is compared with the Host header, which is a name or address, perhaps with a port",
                "write it without scheme, path or blanks, such as mlflow.example.org:5000",
            )
    for origin in service.cors_allowed_origins:
        if not _ORIGIN.fullmatch(origin):
            yield Problem(
                f"mlflow_server_cors_allowed_origins has {origin!r}",
                "it is compared with the Origin header, which has a scheme and no path",
                "write it like https://notebook.example.org",
            )


def bytes_of(memory: str) -> Optional[int]:
    """Return the bytes of systemd's notation (systemd.resource-control(5)), None for a share or no limit.

    Raises ValueError for anything else.
    """
    if memory == "infinity" or re.fullmatch(r"([1-9]\d?|100)%", memory):
        return None
    match = _MEMORY.fullmatch(memory)
    if match is None:
        raise ValueError(f"not an amount of memory: {memory!r}")
    power = " KMGT".index(match["unit"] or " ")
    return int(match["number"]) << 10 * power


def memory_needed(workers: int, jobs: bool) -> int:
    """Return the MiB that so many workers hold when they have served a while, measured."""
    return _FIRST_WORKER + _NEXT_WORKER * (max(workers, 1) - 1) + _JOBS * jobs


def _resources(case: Case) -> Iterator[Problem]:
    service = case.service
    if service.workers < 1:
        yield Problem(f"mlflow_server_workers is {service.workers}", "nobody would answer", "write 1 or more")
    needed = memory_needed(service.workers, service.job_execution)
    try:
        limit = bytes_of(service.memory_max)
    except ValueError:
        yield Problem(
            f"mlflow_server_memory_max is {service.memory_max!r}",
            "systemd does not know this notation and would ignore the limit",
            "write a number with K, M, G or T, a share of the memory such as 50%, or infinity",
        )
    else:
        if limit is not None and limit < needed * 1024**2:
            yield Problem(
                f"mlflow_server_memory_max is {service.memory_max}, with {service.workers} workers"
                + (" and job execution" if service.job_execution else ""),
                f"MLflow holds about {needed} MiB then, and would be killed again and again",
                f"allow {needed * 3 // 2}M or more, or fewer workers",
            )
    if service.start_timeout < _SHORTEST_START or service.stop_timeout < 1:
        yield Problem(
            f"mlflow_server_start_timeout is {service.start_timeout}, mlflow_server_stop_timeout {service.stop_timeout}",
            "a start takes 6 to 20 seconds, and longer when it updates the database; it must not be cut short",
            f"allow {_SHORTEST_START} seconds or more for a start, and 1 or more for a stop",
        )
    if service.migration_timeout < _SHORTEST_MIGRATION:
        yield Problem(
            f"mlflow_server_migration_timeout is {service.migration_timeout}",
            "an upgrade that is not done by then is taken back",
            f"write {_SHORTEST_MIGRATION} seconds or more; an hour is the default",
        )


def _environment(case: Case) -> Iterator[Problem]:
    for name in case.service.environment_names:
        found = f"mlflow_server_environment has {name!r}"
        if not environment.NAME.fullmatch(name):
            yield Problem(
                found,
                "an environment variable can't have this name",
                "use letters, digits and underscores, not a digit first",
            )
        elif name in MANAGED:
            yield Problem(found, "the role sets it, and two places would contradict each other", f"use {MANAGED[name]}")
        elif name == "MLFLOW_UVICORN_OPTS" and not case.service.access_log:
            yield Problem(
                f"{found}, and mlflow_server_access_log is false",
                "that is one of uvicorn's options, and two places would contradict each other",
                "add --no-access-log to your options, and leave mlflow_server_access_log out",
            )
        elif name in case.service.multiline_names:
            yield Problem(
                found + ", with a value of several lines",
                "an environment file holds one line for each",
                "put the text into a file and name that",
            )


def judge(case: Case) -> Sequence[Problem]:
    """Return every reason not to deploy, in the order in which one would mend them."""
    service, evidence = case.service, case.evidence
    rules = (_host, _install, _account, _directories, _address, _clients, _resources, _environment)
    problems = [problem for rule in rules for problem in rule(case)]
    root = artifact_root.judge(
        case.root,
        service.directories,
        evidence.mounts,
        evidence.symlink,
        evidence.root_is_other_file,
    )
    locked = not case.install.requirements and not case.install.extra_packages
    databases = {
        "mlflow_server_backend_store_uri": service.backend_store_uri,
        "mlflow_server_registry_store_uri": service.registry_store_uri,
    }
    for name, uri in databases.items():
        if uri or name == "mlflow_server_backend_store_uri":
            problems += database_problems(name, uri, case.root, evidence.mounts, locked)
    problems += database_rules.problems(case.database, service.user, databases, case.install.version)
    problems += basic_auth_rules.problems(
        case.accounts, case.database.servers, service.environment_names, case.root, evidence.mounts, locked
    )
    return [*problems, *root]
