# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hand-made MLflow server is, told from the arguments, environment and directory of its process.

Source: ``mlflow server --help`` of 2.22.5, 3.1.4 and 3.17.2, and ``mlflow.cli.server`` for the defaults.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adopted_database, artifact_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Options with a value that say what is to be adopted, and the variables that say the same.
_OPTIONS = {
    "--backend-store-uri": "MLFLOW_BACKEND_STORE_URI",
    "--registry-store-uri": "MLFLOW_REGISTRY_STORE_URI",
    "--default-artifact-root": "MLFLOW_DEFAULT_ARTIFACT_ROOT",
    "--artifacts-destination": "MLFLOW_ARTIFACTS_DESTINATION",
    "--host": "MLFLOW_HOST",
    "--port": "MLFLOW_PORT",
    "--workers": "MLFLOW_WORKERS",
    "--static-prefix": "MLFLOW_STATIC_PREFIX",
    "--app-name": "",
}
_SHORT = {"-h": "--host", "-p": "--port", "-w": "--workers"}
_FLAGS = {"--serve-artifacts": "true", "--no-serve-artifacts": "false"}
_UNIT = re.compile(r"/system\.slice/(?:[^/]+\.slice/)*(?P<unit>[^/]+\.service)$", re.MULTILINE)
_USER_UNIT = re.compile(r"/user@\d+\.service/(?:[^/]+\.slice/)*(?P<unit>[^/]+\.service)$", re.MULTILINE)
_VERSION = re.compile(r"mlflow-(?P<version>\d[^-]*)\.dist-info")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; ``directory`` is where it runs, ``environment`` may hold secrets."""

    pid: int
    parent: int
    uid: int
    argv: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(repr=False)
    unit: str = ""
    user_unit: str = ""


@dataclass(frozen=True)
class Deployment:
    """A hand-made server: where its data are, and how it is reached.

    ``database`` is an address without its password; ``database_file`` that of SQLite, else ''.
    ``artifact_directory`` is a directory, whoever writes to it.
    """

    pid: int
    uid: int
    unit: str
    version: str
    database: str
    database_file: str
    artifact_access: str
    artifact_directory: str
    host: str = "127.0.0.1"
    port: int = 5000
    static_prefix: str = ""


def serves(argv: Sequence[str]) -> bool:
    """Whether a command line is ``mlflow server`` or ``mlflow ui``, by whichever Python."""
    for index, word in enumerate(argv[:-1]):
        program = posixpath.basename(word) == "mlflow"
        module = word == "-m" and argv[index + 1] == "mlflow"
        following = argv[index + (2 if module else 1) :]
        if (program or module) and following[:1] and following[0] in ("server", "ui"):
            return True
    return False


def settings(argv: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a server by their long names; what the command line says goes before the environment."""
    found = {option: environment[name] for option, name in _OPTIONS.items() if environment.get(name)}
    if environment.get("MLFLOW_SERVE_ARTIFACTS"):
        found["--serve-artifacts"] = environment["MLFLOW_SERVE_ARTIFACTS"].lower()
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name in _FLAGS:
            found["--serve-artifacts"] = _FLAGS[name]
        elif name == "--artifacts-only":
            found[name] = "true"
        elif name in _OPTIONS:
            found[name] = value if equals else next(words, "")
    return found


def _sqlite_file(uri: str, directory: str) -> str:
    """Return the file of a SQLite address, relative ones below the process' directory."""
    path = uri.partition(":")[2].partition("?")[0]
    return posixpath.normpath(posixpath.join(directory, path[3:])) if path.startswith("///") else ""


def _local(location: str, directory: str) -> str:
    """Return the directory that an artifact location means to a process, '' for none of this host."""
    given = location
    if "://" not in given and not given.startswith(("/", "file:")):
        given = posixpath.join(directory, given)
    return artifact_uri.parse(given).path


class Judge:
    """Turns what is known of a process into a deployment and what is in the way of adopting it."""

    def __init__(self, process: Process, version: str, has_file_store: bool) -> None:
        self._process, self._version, self._has_file_store = process, version, has_file_store
        self._given = settings(process.argv, process.environment)
        self.problems: list[Problem] = []

    def deployment(self) -> Deployment:
        """Return the deployment; what can't be adopted is added to ``problems``."""
        given, process = self._given, self._process
        database = given.get("--backend-store-uri", "" if self._has_file_store else "sqlite:///mlflow.db")
        access, directory = self._artifacts()
        self._judge(database)
        port = given.get("--port", "5000")
        return Deployment(
            pid=process.pid,
            uid=process.uid,
            unit=process.unit,
            version=self._version,
            database=adopted_database.shown(database),
            database_file=_sqlite_file(database, process.directory) if database.startswith("sqlite:") else "",
            artifact_access=access,
            artifact_directory=directory,
            host=given.get("--host", "127.0.0.1"),
            port=int(port) if port.isdigit() else 0,
            static_prefix=given.get("--static-prefix", ""),
        )

    def _artifacts(self) -> tuple[str, str]:
        served = self._given.get("--serve-artifacts", "true") not in ("false", "0")
        root = self._given.get("--default-artifact-root", "")
        proxied = root.startswith("mlflow-artifacts:") or (not root and served)
        location = self._given.get("--artifacts-destination", "./mlartifacts") if proxied else root or "./mlruns"
        directory = _local(location, self._process.directory)
        if not directory:
            self._refuse(
                f"its artifacts are at {artifact_uri.parse(location).shown}",
                "only directories of this host can be taken over",
                "deploy with selfhosted.mlflow.site, giving this database; that store stays as it is",
            )
        return ("proxied" if proxied else "direct"), directory

    def _judge(self, database: str) -> None:
        if self._process.user_unit:
            unit = self._process.user_unit
            self._refuse(
                f"it is {unit} of a user's own systemd",
                "that would start it again at the next login or boot, beside the new server",
                f"as that user run `systemctl --user disable --now {unit}`, start the same command by hand in a "
                "shell, and adopt again",
            )
        scheme = urlsplit(database).scheme.partition("+")[0]
        if scheme not in ("sqlite", "postgresql", "mysql", "mariadb", "mssql"):
            self._refuse(
                f"it keeps its runs in files, {adopted_database.shown(database) or './mlruns in ' + self._process.directory}",
                "MLflow no longer maintains that store, and its newer servers refuse it",
                "copy it into a database with `mlflow migrate-filestore` (MLflow 3.10 and newer, `--help` says how), "
                "start the old server on that database, and adopt again",
            )
        if self._given.get("--app-name"):
            self._refuse(
                f"it runs with --app-name {self._given['--app-name']}",
                "its users and permissions are in a database of their own, which is not taken over",
                "move those by hand: deploy without adopting",
            )
        if self._given.get("--artifacts-only"):
            self._refuse("it serves artifacts only", "it has no runs", "adopt the tracking server")
        registry = self._given.get("--registry-store-uri")
        if registry and registry != database:
            self._refuse(
                "its model registry is in another database",
                "only one database is copied",
                "adopt without it: stop the server, and give mlflow_server_registry_store_uri to site.yml",
            )

    def _refuse(self, found: str, why: str, instead: str) -> None:
        self.problems.append(Problem(f"process {self._process.pid}: {found}", why, instead))


def variables(found: Deployment) -> dict[str, object]:
    """Return what to put into the inventory, so that clients find the new server where the old one was."""
    wanted: dict[str, object] = {"mlflow_server_port": found.port}
    if found.version:
        wanted["mlflow_version"] = found.version
    if found.host in ("127.0.0.1", "localhost", "::1"):
        wanted["mlflow_server_bind_address"] = "127.0.0.1"
    if found.static_prefix:
        wanted["mlflow_server_static_prefix"] = found.static_prefix
    if not found.database_file:
        wanted["mlflow_server_backend_store_uri"] = adopted_database.for_inventory(found.database)
    wanted["mlflow_artifact_access"] = found.artifact_access
    return wanted


def version_in(names: Sequence[str]) -> str:
    """Return the release of MLflow among the names in a directory of packages, or ''."""
    return next((match["version"] for match in map(_VERSION.fullmatch, names) if match), "")


def unit_of(cgroups: str) -> str:
    """Return the system's unit in the text of /proc/PID/cgroup, or ''."""
    match = _UNIT.search(cgroups)
    return match["unit"] if match else ""


def user_unit_of(cgroups: str) -> str:
    """Return the unit of a user's own systemd in the text of /proc/PID/cgroup, or ''."""
    match = _USER_UNIT.search(cgroups)
    return match["unit"] if match else ""


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as stream:
        return stream.read()


def process(pid: int) -> Optional[Process]:
    """Return a process, None when it has ended or may not be looked into."""
    try:
        argv = tuple(os.fsdecode(word) for word in _read(pid, "cmdline").split(b"\0")[:-1])
        cgroups = os.fsdecode(_read(pid, "cgroup"))
        pairs = (os.fsdecode(pair).partition("=") for pair in _read(pid, "environ").split(b"\0") if pair)
        return Process(
            pid=pid,
            # After the name in parentheses, which may hold anything: state, parent.
            parent=int(_read(pid, "stat").rpartition(b")")[2].split()[1]),
            uid=os.stat(f"/proc/{pid}").st_uid,
            argv=argv,
            directory=os.readlink(f"/proc/{pid}/cwd"),
            environment={name: value for name, _equals, value in pairs},
            unit=unit_of(cgroups),
            user_unit=user_unit_of(cgroups),
        )
    except (OSError, ValueError, IndexError):
        return None


def processes() -> dict[int, Process]:
    """Return all processes that have arguments, by number; one that has ended has none."""
    found = (process(int(pid)) for pid in os.listdir("/proc") if pid.isdigit())
    return {one.pid: one for one in found if one and one.argv}


def running() -> list[Process]:
    """Return the servers that run on this host, without their workers."""
    found = processes()
    servers = {pid: one for pid, one in found.items() if serves(one.argv)}
    return [one for one in servers.values() if one.parent not in servers]


def installed_version(server: Process) -> str:
    """Return the release that a process runs, from the packages beside its Python; '' when that can't be told."""
    # The program's place tells of packages that pip has put into a user's ~/.local.
    for word in server.argv[:2]:
        prefix = os.path.dirname(os.path.dirname(os.path.join(server.directory, word)))
        for packages in sorted(glob.glob(os.path.join(glob.escape(prefix), "lib*", "python3*", "site-packages"))):
            version = version_in(os.listdir(packages))
            if version:
                return version
    return ""


def family(server: Process, found: Mapping[int, Process]) -> list[Process]:
    """Return a process and its descendants among those found, parents first."""
    members = [server]
    for one in members:
        members += [child for child in found.values() if child.parent == one.pid]
    return members
