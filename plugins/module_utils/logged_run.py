# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run that the end-to-end check logs: its names, what came of it, and what to do when nothing did."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, Finding

#: Where the artifact lies in the run: nested, as a model's files are.
DIRECTORY = "check/nested"
FILE = "probe.bin"
SIZE = 65536
#: A variable with one of these in its name has a value to hide.
SECRET_NAMES = ("PASSWORD", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PASSPHRASE")

_RUN = re.compile(r"[0-9a-f]{16}")
_EXPERIMENT = re.compile(r"mlflow-artifact-check-(?P<run>[0-9a-f]{16})-[0-9a-f]{8}")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(: |$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SHOWN = 400

_MOUNT = "mount the share there (the findings about the path say why it isn't), or use proxied access"
#: What the library says, and what to do; the first that matches counts.
_REMEDIES = (
    (
        r"can't be started|No module named '?mlflow",
        (
            "install it on this host (mlflow_client_library: true), or set "
            "mlflow_artifact_check_python to a Python that has it"
        ),
    ),
    (
        r"No module named '?(boto3|google|azure|pysftp|pyarrow)",
        "the run's artifacts go to an object store, whose package the Python of this host lacks: install it there",
    ),
    (r"Invalid Host header", "add the name and port of the tracking URI to mlflow_server_allowed_hosts"),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "set mlflow_ca_bundle to a file with the authority's certificate on this host",
    ),
    (
        r"no-serve-artifacts",
        (
            "the server hands out no artifacts: set mlflow_artifact_access: proxied and a new "
            "experiment, or MLFLOW_SERVE_ARTIFACTS: true in mlflow_server_environment"
        ),
    ),
    (r"Errno 30\]|Read-only file system", f"the artifact path is missing or mounted read-only here: {_MOUNT}"),
    (r"Errno 1\]|Operation not permitted", f"the bare mount point is sealed, for the share is away: {_MOUNT}"),
    (r"Errno 2\]|No such file or directory", f"the artifact path is missing here: {_MOUNT}"),
    (r"Errno 116\]|Stale file handle", "mount the share anew: on this host `umount` it and start its mount unit"),
    (r"Errno 28\]|No space left", "free space on the file server"),
    (r"Errno 122\]|[Qq]uota exceeded", "raise the user's quota on the file server"),
    (
        r"Errno 13\]",
        "let this user write there: as a member of mlflow_shared_group (mlflow_client_users), after a new login",
    ),
    (
        r"NoCredentials|Unable to locate credentials|InvalidAccessKeyId|SignatureDoesNotMatch",
        "give the user credentials of the object store (in a file of the user's own, or mlflow_artifact_check_user_environment)",
    ),
    (
        r"error code 401|[Nn]ot authenticated|Unauthorized",
        (
            "the server wants an account: set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD of an ordinary one in mlflow_artifact_check_user_environment"
        ),
    ),
    (r"error code 403|PERMISSION_DENIED", "let the account make experiments"),
    (
        r"Name or service not known|Failed to resolve|NameResolution",
        "let this host know the server's name (DNS or /etc/hosts)",
    ),
    (
        r"Connection refused",
        "on the server: `systemctl status mlflow.service`; check host and port of the tracking URI",
    ),
    (r"timed out|Max retries", "is there a firewall between this host and the server, or a proxy in the environment?"),
)


@dataclass(frozen=True)
class Logged:
    """How far the program came; what it had not reached is ''."""

    version: str = ""
    experiment_id: str = ""
    run_id: str = ""
    artifact_uri: str = ""
    sha256: str = ""


def is_run(name: str) -> bool:
    """Whether a text can name a check."""
    return _RUN.fullmatch(name) is not None


def experiment_name(run: str, suffix: str) -> str:
    """Return the name of an experiment of a check; ``suffix`` is 8 random hexadecimal digits."""
    name = f"mlflow-artifact-check-{run}-{suffix}"
    if not _EXPERIMENT.fullmatch(name):
        raise ValueError(f"{name!r} can't name an experiment of a check")
    return name


def check_of(experiment: str) -> str:
    """Return the check that an experiment of this name belongs to, '' for every other one."""
    match = _EXPERIMENT.fullmatch(experiment)
    return match["run"] if match else ""


def due(listed: Iterable[Mapping[str, Any]], run: str, before: float) -> list[dict[str, Any]]:
    """Return the experiments to remove: those of this check, and what others left before a time in seconds."""
    return [
        dict(one)
        for one in listed
        if check_of(str(one.get("name", ""))) == run
        or (check_of(str(one.get("name", ""))) and float(one.get("creation_time") or 0) / 1000 < before)
    ]


def parse(out: str) -> Logged:
    """Return how far the program came by what it printed; a library's own lines among it are passed over."""
    reached: dict[str, str] = {}
    known = set(Logged.__dataclass_fields__)
    for line in out.splitlines():
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict):
            reached.update({name: str(value) for name, value in told.items() if name in known})
    return Logged(**reached)


def last_error(err: str, secrets: Iterable[str]) -> str:
    """Return the last thing a program complained of, in one line and without secrets."""
    lines = [line for line in err.splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line)]
    text = (raised or lines or ["it said nothing"])[-1]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def remedy(error: str) -> str:
    """Return what to do about an error of MLflow's client library."""
    found = (advice for pattern, advice in _REMEDIES if re.search(pattern, error))
    return next(found, "run a small script that logs an artifact as this user on this host, and follow its error")


def _evidence(logged: Logged) -> dict[str, Any]:
    return {name: getattr(logged, name) for name in ("version", "experiment_id", "run_id", "artifact_uri")}


def failed(user: str, logged: Logged, error: str) -> Finding:
    """Return the finding of a run that could not be logged; ``error`` is the library's."""
    reached = "the artifact could not be logged" if logged.run_id else "no run could be made"
    return Finding("run_failed", ERROR, f"{user}: {reached}: {error}", remedy(error), _evidence(logged))


def not_listed(user: str, logged: Logged, seconds: float, answer: str = "") -> Finding:
    """Return the finding of an artifact that the server doesn't list; ``answer`` is its error, if any."""
    said = f"; it answers: {answer}" if answer else ""
    return Finding(
        "run_not_listed",
        ERROR,
        f"{user}: the run was logged without an error, and the server does not list its artifact at "
        f"{logged.artifact_uri} within {seconds:g} s{said}. Artifacts logged on this host are lost to all others",
        "see the findings about the path of this host: it is not the directory that the server reads, or the server "
        "may not read it. What was logged before lies in that directory on this host",
        _evidence(logged),
    )


def not_served(user: str, logged: Logged, answer: str) -> Finding:
    """Return the finding of an artifact that is listed and can't be fetched."""
    return Finding(
        "run_not_served",
        ERROR,
        f"{user}: the server lists the artifact at {logged.artifact_uri} and does not serve it: {answer}",
        "let the service user read what this user writes: on the server look at owner, group and mode of the file",
        _evidence(logged),
    )


def differs(user: str, logged: Logged, served: str) -> Finding:
    """Return the finding of an artifact that is another file on the server; ``served`` is its sha256."""
    return Finding(
        "run_differs",
        ERROR,
        f"{user}: the artifact that the server serves is not the file that was logged "
        f"(sha256 {served}, logged {logged.sha256})",
        "find out what stands between: a cache, a synchronised copy, or a share mounted soft",
        {**_evidence(logged), "logged": logged.sha256, "served": served},
    )


def proved(user: str, logged: Logged) -> Finding:
    """Return the finding of an artifact that came through whole."""
    message = f"{user}: a run logged with MLflow {logged.version} was listed and served back with the same sha256"
    return Finding("run_proved", INFO, message, "", {**_evidence(logged), "sha256": logged.sha256})
