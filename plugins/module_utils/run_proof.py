# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log a run as a user, and ask the server whether it arrived."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    artifact_uri,
    bounded,
    forget_runs_program,
    log_run_program,
    logged_run,
    program,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity, NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.logged_run import Logged
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

#: For the server's answers, beside the patience with its directory cache.
ANSWER_SECONDS = 60.0
_POLL_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_CLEAR_SECONDS = 20.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Check:
    """What is the same for all users of a host; times in seconds.

    ``access`` is for asking the server, ``environment`` what the user's own program is given besides.
    """

    access: Access
    python: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    umask: int = 0o022
    timeout: float = 120.0
    patience: float = 35.0


def environment(check: Check, who: program.User) -> dict[str, str]:
    """Return all that the user's program gets; nothing of ``access`` but the address is among it."""
    own = {
        "HOME": who.home,
        "LANG": "C.UTF-8",
        "LOGNAME": who.name,
        "PATH": _PATH,
        "USER": who.name,
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # The library would try for minutes what fails at once.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, int(check.timeout / 3))),
        "MLFLOW_TRACKING_URI": check.access.uri,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if check.access.ca_bundle:
        own["MLFLOW_TRACKING_SERVER_CERT_PATH"] = check.access.ca_bundle
    return {**own, **check.environment}


def _log(check: Check, who: program.User, experiment: str) -> tuple[Logged, str]:
    """Return how far logging came, and the library's error or ''."""
    wanted = {
        "experiment": experiment,
        "path": logged_run.DIRECTORY,
        "name": logged_run.FILE,
        "size": logged_run.SIZE,
    }
    text = program.source(log_run_program)
    # -I: neither the directory nor variables of somebody else change what is run.
    command = [check.python, "-I", "-", json.dumps(wanted)]
    try:
        ended = program.run(command, text, environment(check, who), check.timeout, who, program.Manner(check.umask))
    except program.TooSlowError as error:
        return logged_run.parse(error.out), f"it was {error}: timed out"
    except OSError as error:
        return Logged(), f"{check.python} can't be started as {who.name}: {error.strerror}"
    logged = logged_run.parse(ended.out)
    if ended.code == 0 and logged.sha256:
        return logged, ""
    return logged, logged_run.last_error(ended.err, _hidden(check.environment))


def _hidden(variables: Mapping[str, str]) -> list[str]:
    """Return the values that no message may repeat."""
    return [value for name, value in variables.items() if any(word in name.upper() for word in logged_run.SECRET_NAMES)]


def _sizes(api: TrackingApi, run_id: str) -> dict[str, int]:
    """Return the sizes in bytes of the files that the server lists in the artifact's directory."""
    query = {"run_id": run_id, "path": logged_run.DIRECTORY}
    listed = api.get("api/2.0/mlflow/artifacts/list", query).get("files", [])
    return {str(one.get("path")): int(one.get("file_size") or 0) for one in listed if isinstance(one, dict)}


def _listed(api: TrackingApi, run_id: str, patience: float) -> tuple[bool, str]:
    """Return whether the server lists the whole artifact, waiting for it, and its last error or ''."""
    path = f"{logged_run.DIRECTORY}/{logged_run.FILE}"
    deadline = time.monotonic() + patience
    while True:
        answer = ""
        try:
            if _sizes(api, run_id).get(path) == logged_run.SIZE:
                return True, ""
        except ApiError as error:
            if error.name != "api_failed":
                raise
            answer = str(error)
        if time.monotonic() >= deadline:
            return False, answer
        time.sleep(_POLL_SECONDS)


def _judge(check: Check, user: str, logged: Logged) -> Finding:
    """Ask the server for what was logged."""
    api = TrackingApi(check.access)
    try:
        listed, answer = _listed(api, logged.run_id, check.patience)
        if not listed:
            return logged_run.not_listed(user, logged, check.patience, answer)
    except ApiError as error:
        return error.finding()
    path = f"{logged_run.DIRECTORY}/{logged_run.FILE}"
    try:
        served = api.download("get-artifact", {"path": path, "run_uuid": logged.run_id}, 2 * logged_run.SIZE)
    except ApiError as error:
        return logged_run.not_served(user, logged, str(error))
    if served.sha256 != logged.sha256:
        return logged_run.differs(user, logged, served.sha256)
    return logged_run.proved(user, logged)


def _clear(who: program.User, logged: Logged) -> None:
    """Remove what lies on this host where the artifact should be: the server won't find it there.

    Where it is the server's directory after all, the server has less to remove.
    """
    uri = artifact_uri.parse(logged.artifact_uri)
    if uri.kind != artifact_uri.LOCAL:
        return
    identity = Identity(who.uid, who.gid, who.groups) if os.geteuid() == 0 else None

    def remove() -> None:
        root = forget_runs_program.split_path(uri.path, logged.experiment_id, logged.run_id)
        forget_runs_program.remove_run(root, logged.experiment_id, logged.run_id)

    # What can't be removed is a directory of a run that nobody has; the finding says where.
    with contextlib.suppress(OSError, ValueError, NoAnswerError):
        bounded.run(remove, _CLEAR_SECONDS, identity)


def prove(check: Check, user: str, experiment: str) -> tuple[Logged, Finding]:
    """Log a run into a new experiment as ``user``, and say whether it arrived."""
    who = program.user(user)
    if who is None:
        message, remedy = f"this host has no user {user}", "name users of this host in mlflow_artifact_check_users"
        return Logged(), Finding("probe_failed", ERROR, message, remedy)
    logged, error = _log(check, who, experiment)
    finding = logged_run.failed(user, logged, error) if error else _ask(check, user, logged)
    if finding.severity == ERROR and logged.run_id:
        _clear(who, logged)
    return logged, finding


def _ask(check: Check, user: str, logged: Logged) -> Finding:
    """Judge in a child: a name that can't be resolved, or headers that drip, know no deadline."""
    try:
        seconds = check.access.duration + _GRACE_SECONDS
        return Finding(**bounded.run(lambda: asdict(_judge(check, user, logged)), seconds))
    except NoAnswerError as late:
        message, remedy = f"{check.access.uri}: {late}", "check the name service of this host"
        return Finding("api_unreachable", ERROR, message, remedy, {"reason": "timed_out"})
