# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the runs of artifact checks removed on the server: deleted by REST, then for good."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    environment,
    forget_runs_program,
    logged_run,
    program,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

#: What a check left that was killed longer ago than this, in seconds, is removed by the next.
STALE_SECONDS = 24 * 3600
_API = "api/2.0/mlflow"
_MOST = 1000
_PASSWORD = re.compile(r"://[^/@]*?:([^@]*)@")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Server:
    """Where MLflow is on the server: its program, its service's environment file, and whom it runs as."""

    program: str
    environment_file: str
    user: str
    timeout: float

    @property
    def python(self) -> str:
        """The Python of the program's virtual environment."""
        return os.path.join(os.path.dirname(self.program), "python")


@dataclass(frozen=True)
class Removal:
    """What came of it: numbers of experiments that are gone, and by number why others are left."""

    removed: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)


def due(api: TrackingApi, run: str) -> dict[str, str]:
    """Return the experiments to remove, names by number: those of this check, and stale ones.

    Raises ApiError.
    """
    wanted = {"max_results": _MOST, "view_type": "ALL", "filter": "name LIKE 'mlflow-artifact-check-%'"}
    listed = api.items(f"{_API}/experiments/search", wanted, "experiments", _MOST)
    found = logged_run.due(listed, run, time.time() - STALE_SECONDS)
    # One that an earlier removal left behind is deleted already.
    alive = [one for one in found if one.get("lifecycle_stage") != "deleted"]
    for one in alive:
        _delete(api, str(one["experiment_id"]))
    return {str(one["experiment_id"]): str(one["name"]) for one in found}


def _delete(api: TrackingApi, number: str) -> None:
    try:
        api.post(f"{_API}/experiments/delete", {"experiment_id": number})
    except ApiError as error:
        # Another check that came upon the same stale one.
        if error.code != "RESOURCE_DOES_NOT_EXIST":
            raise


def revoke(api: TrackingApi, experiments: Iterable[str], account: str) -> None:
    """Take back what an account was granted when it made experiments.

    MLflow 3.17.2 keeps the grant when the experiment goes, and SQLite gives its number to a later one.
    A server without accounts has no such call.  Raises ApiError.
    """
    for number in experiments:
        grant = {"username": account, "resource_type": "experiment", "resource_id": number}
        try:
            api.post("api/3.0/mlflow/users/permissions/revoke", grant)
        except ApiError as error:
            if error.reason != "not_found":
                raise


def _environment(server: Server, who: program.User) -> dict[str, str]:
    """Return what the service gets.  Raises OSError when its file can't be read."""
    with open(server.environment_file, encoding="utf-8", errors="surrogateescape") as stream:
        given = environment.parse(stream.read())
    return {"HOME": who.home, "LANG": "C.UTF-8", "PATH": _PATH, "PYTHONDONTWRITEBYTECODE": "1", **given}


def _secrets(given: Mapping[str, str]) -> list[str]:
    """Return what no message may repeat: the passwords in addresses, and what is secret by its name."""
    hidden = [value for name, value in given.items() if any(word in name.upper() for word in logged_run.SECRET_NAMES)]
    for value in given.values():
        match = _PASSWORD.search(value)
        hidden += [match.group(1), unquote(match.group(1))] if match else []
    return hidden


def _parse(out: str) -> dict[str, str]:
    """Return what the program said of each experiment: '' or why it is left."""
    said = {}
    for line in out.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "experiment" in told:
            said[str(told["experiment"])] = str(told.get("left", ""))
    return said


def _forget(server: Server, experiments: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return what was said of each experiment, and why nothing was said of the others."""
    who = program.user(server.user)
    if who is None:
        return {}, f"this host has no user {server.user}"
    try:
        given = _environment(server, who)
    except OSError as error:
        return {}, f"{server.environment_file} can't be read: {error.strerror}"
    command = [server.python, "-I", "-", json.dumps({"experiments": dict(experiments)})]
    try:
        ended = program.run(
            command, program.source(forget_runs_program), given, server.timeout, who, program.Manner(0o007)
        )
    except program.TooSlowError as error:
        return _parse(error.out), str(error)
    except OSError as error:
        return {}, f"{server.python} can't be started as {server.user}: {error.strerror}"
    return _parse(ended.out), logged_run.last_error(ended.err, _secrets(given)) if ended.code else "it said nothing"


def forget(server: Server, experiments: Mapping[str, str]) -> Removal:
    """Remove deleted experiments for good, files and rows."""
    if not experiments:
        return Removal()
    said, otherwise = _forget(server, experiments)
    left = {number: said.get(number, otherwise) for number in experiments}
    return Removal(
        tuple(number for number, reason in left.items() if not reason),
        {number: reason for number, reason in left.items() if reason},
    )


def findings(removal: Removal, experiments: Mapping[str, str]) -> list[Finding]:
    """Return what is left as one finding."""
    if not removal.left:
        return []
    reasons = sorted(set(removal.left.values()))
    names = ", ".join(sorted(experiments[number] for number in removal.left)[:5])
    evidence: dict[str, Any] = {"left": {experiments[number]: why for number, why in removal.left.items()}}
    return [
        Finding(
            "runs_left",
            WARNING,
            f"{len(removal.left)} experiments of artifact checks are deleted, but not for good: {names}. "
            f"{'; '.join(reasons[:3])}",
            "mend what it says, and the next check removes them. Don't use `mlflow gc` for single experiments: it "
            "destroys all other deleted runs as well",
            evidence,
        ),
    ]
