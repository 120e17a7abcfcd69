# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the inputs of the role mlflow_nomad, as far as no host need be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import server_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_DRIVERS = ("docker", "podman", "exec")
_JOB = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_VARIABLE = re.compile(r"[a-zA-Z0-9_~/-]{1,128}")
_VOLUME = re.compile(r"[a-zA-Z0-9-]{1,128}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Job:
    """The inputs; the fields are the role's, without its name.

    ``memory`` is in MiB, ``clients_root`` a path; ``hosts`` are those that get the volumes.
    """

    job: str
    driver: str
    image: str
    count: int
    hosts: Sequence[str]
    port: int
    workers: int
    memory: int
    memory_max: int
    uid: int
    gid: int
    artifact_root: str
    artifact_access: str
    clients_root: str
    artifact_volume: str
    data_volume: str
    data_directory: str
    backend_store_uri: str
    service_provider: str
    host_name: str
    variable: str
    wait: int
    environment: Mapping[str, Any] = field(default_factory=dict)
    secrets: Sequence[str] = ()


def _is_path(path: str) -> bool:
    return path.startswith("/") and path != "/" and "/../" not in f"{path}/" and "//" not in path


def _names(job: Job) -> Iterator[Problem]:
    for name, value, pattern, like in (
        ("job", job.job, _JOB, "letters, digits, '.', '_' and '-', such as mlflow"),
        ("artifact_volume", job.artifact_volume, _VOLUME, "letters, digits and hyphens, such as mlflow-artifacts"),
        ("data_volume", job.data_volume, _VOLUME, "letters, digits and hyphens, such as mlflow-data"),
        ("variable", job.variable, _VARIABLE, "a path such as nomad/jobs/mlflow"),
    ):
        if not pattern.fullmatch(value):
            yield Problem(f"mlflow_nomad_{name} is {value!r}", "Nomad or its ACL policies refuse it", f"write {like}")
    if job.data_volume == job.artifact_volume:
        yield Problem(
            f"mlflow_nomad_data_volume and mlflow_nomad_artifact_volume are both {job.data_volume}",
            "one would hide the other",
            "name them apart",
        )
    if job.host_name and not _HOST.fullmatch(job.host_name):
        yield Problem(
            f"mlflow_nomad_host_name is {job.host_name!r}",
            "it becomes a rule of Traefik's and a Host header, so it must be a bare name",
            "write a name such as mlflow.example.org, without scheme, port or path",
        )


def _driver(job: Job) -> Iterator[Problem]:
    if job.driver == "raw_exec":
        yield Problem(
            "mlflow_nomad_driver is raw_exec",
            "that driver does not support host volumes, and runs as root on the bare host",
            "write docker, podman or exec",
        )
    elif job.driver not in _DRIVERS:
        yield Problem(f"mlflow_nomad_driver is {job.driver!r}", "this role can't describe it", "write docker")
    if job.driver == "exec" and job.artifact_access == "direct":
        yield Problem(
            "mlflow_nomad_driver is exec, and clients write artifacts themselves",
            "Nomad's exec driver starts a task without its user's groups, so the server can't read what clients write",
            "write docker or podman, or let artifacts go through the server (mlflow_artifact_access: proxied)",
        )
    if job.driver in ("docker", "podman") and not job.image:
        yield Problem(
            f"mlflow_nomad_image is empty, with the driver {job.driver}",
            "there would be nothing to run",
            "name the image that playbooks/image.yml has pushed, such as registry.example.org/mlflow:3.17.2",
        )
    if job.service_provider not in ("nomad", "consul"):
        yield Problem(
            f"mlflow_nomad_service_provider is {job.service_provider!r}",
            "Nomad knows no such one",
            "write nomad or consul",
        )
    if job.uid <= 0 or job.gid <= 0:
        yield Problem(
            f"the task would run as {job.uid}:{job.gid}",
            "root is a stranger on the share, and has no business in the task",
            "set mlflow_nomad_uid and mlflow_nomad_gid to the numbers that own the directories",
        )


def _paths(job: Job) -> Iterator[Problem]:
    for name, path in (("artifact_root", job.artifact_root), ("data_directory", job.data_directory)):
        if not _is_path(path):
            yield Problem(
                f"mlflow_nomad_{name} is {path!r}",
                "the path must be the same inside the task, on the host and on MLflow's clients",
                "write an absolute path below /, without '..' and double slashes",
            )
    if job.artifact_access not in ("direct", "proxied"):
        yield Problem(
            f"mlflow_nomad_artifact_access is {job.artifact_access!r}",
            "clients either write artifacts themselves or let the server do it",
            "write direct or proxied",
        )
    if job.artifact_access == "direct" and job.clients_root and job.clients_root != job.artifact_root:
        yield Problem(
            f"mlflow_nomad_artifact_root is {job.artifact_root}, the clients' is {job.clients_root}",
            "clients write to the very path that the server names, so their artifacts would be lost",
            "set mlflow_artifact_root once for all, or let artifacts go through the server (proxied)",
        )
    if f"{job.artifact_root}/".startswith(f"{job.data_directory}/") or f"{job.data_directory}/".startswith(
        f"{job.artifact_root}/"
    ):
        yield Problem(
            f"{job.data_directory} and {job.artifact_root} lie one in the other",
            "the database would be among the users' files, or hidden by their volume",
            "keep the database on a local directory of its own",
        )


def _database(job: Job) -> Iterator[Problem]:
    if not job.backend_store_uri.startswith("sqlite:"):
        return
    if job.count > 1:
        yield Problem(
            f"mlflow_nomad_count is {job.count}, and the database is SQLite",
            "two servers on two hosts have two databases, and on one host they lock each other out",
            "use PostgreSQL (mlflow_nomad_backend_store_uri), or count 1",
        )
    if len(job.hosts) > 1:
        yield Problem(
            f"the database is SQLite, and {len(job.hosts)} hosts have its volume: {', '.join(job.hosts)}",
            "on another host the server would find an empty database, and start with that",
            "use PostgreSQL (mlflow_nomad_backend_store_uri), or set mlflow_nomad_has_volumes to false for all but one",
        )
    if not job.backend_store_uri.startswith(f"sqlite:///{job.data_directory}/"):
        yield Problem(
            f"mlflow_nomad_backend_store_uri is {job.backend_store_uri}",
            f"a database outside of {job.data_directory} is lost with the task",
            f"write sqlite:///{job.data_directory}/mlflow.db",
        )


def _resources(job: Job) -> Iterator[Problem]:
    needed = server_rules.memory_needed(job.workers, jobs=False)
    if job.workers < 1 or job.count < 1:
        yield Problem(
            f"mlflow_nomad_workers is {job.workers}, mlflow_nomad_count {job.count}",
            "nobody would answer",
            "write 1 or more; to stop the job set mlflow_nomad_state to absent",
        )
    if job.memory < needed:
        yield Problem(
            f"mlflow_nomad_memory is {job.memory} MiB, with {job.workers} workers",
            f"MLflow holds about {needed} MiB then, and would be killed again and again",
            f"write {needed * 3 // 2} or more, or fewer workers",
        )
    if 0 < job.memory_max < job.memory:
        yield Problem(
            f"mlflow_nomad_memory_max is {job.memory_max} MiB, less than mlflow_nomad_memory, {job.memory}",
            "Nomad refuses that",
            "write more, or 0 for no more than the reserved memory",
        )
    if not 0 < job.port <= _HIGHEST_PORT:
        yield Problem(f"mlflow_nomad_port is {job.port}", "there is no such port", "write one from 1 to 65535")
    if job.wait < 1:
        yield Problem(f"mlflow_nomad_wait is {job.wait} s", "no server starts in no time", "write 300")


def _environment(job: Job) -> Iterator[Problem]:
    for name in [*job.environment, *job.secrets]:
        if not _NAME.fullmatch(name):
            yield Problem(f"{name!r} among the variables", "no program could read it", "write a name such as MLFLOW_X")
    both = sorted(set(job.environment) & set(job.secrets))
    if both:
        yield Problem(
            f"{', '.join(both)} in mlflow_nomad_environment and in mlflow_nomad_secrets",
            "one would silently win, and the job's text can be read by all who may read jobs",
            "keep it in mlflow_nomad_secrets only",
        )


def judge(job: Job) -> list[Problem]:
    """Return everything that is wrong, in the order of the role's inputs."""
    rules = (_names, _driver, _paths, _database, _resources, _environment)
    return [problem for rule in rules for problem in rule(job)]
