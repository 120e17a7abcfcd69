# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artifact check refuses before it touches anything."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_UMASK = re.compile(r"0?[0-7]{3}")
_SPAN = re.compile(r"[1-9][0-9]*(s|min|h|d)")
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def root_problem(name: str, root: str) -> Optional[Problem]:
    """Return what keeps the input ``name`` from being an artifact root on a file system."""
    uri = artifact_uri.parse(root)
    found = f"{name} is {uri.shown!r}"
    if uri.kind == artifact_uri.UNUSABLE:
        return Problem(found, uri.why, "write an absolute path, such as /srv/mlflow/artifacts")
    if uri.kind != artifact_uri.LOCAL:
        return Problem(
            found,
            "it is no directory, so there is no path to prove",
            "write the absolute path that clients write to; with proxied access or an object store use the "
            "end-to-end check alone",
        )
    if uri.path == "/":
        return Problem(found, "the root directory can't be a share", "write the path of the artifacts")
    if not uri.plain and not uri.given.startswith("file:"):
        return Problem(
            found,
            "MLflow keeps the text as it is, and texts that differ count as different places",
            f"write {uri.path}",
        )
    return None


def seconds_problem(name: str, seconds: float, least: float) -> Optional[Problem]:
    """Return what is wrong with a number of seconds that has to be more than ``least``."""
    if least < seconds < float("inf"):
        return None
    return Problem(
        f"{name} is {seconds:g}",
        f"it is a number of seconds to wait, more than {least:g}",
        "write a number such as 20, or leave it out",
    )


def umask_problem(name: str, umask: str) -> Optional[Problem]:
    """Return what is wrong with a umask in octal digits."""
    if _UMASK.fullmatch(umask):
        return None
    return Problem(f"{name} is {umask!r}", "a umask is three octal digits", 'write it quoted, for example "0022"')


def server_problem(server: str, hosts: Collection[str]) -> Optional[Problem]:
    """Return what keeps a name from being the server's in an inventory."""
    if server in hosts:
        return None
    found = f"mlflow_artifact_check_server is {server!r}" + ("" if server else ", and the group mlflow_server is empty")
    return Problem(
        found,
        "the proof needs the host that runs MLflow: it leaves a sentinel there and reads the replies",
        "write its name in the inventory, or put it into the group mlflow_server",
    )


def watch_problems(interval: str, textfile_directory: str, deployment: str) -> list[Problem]:
    """Return what is wrong with the inputs of the watch."""
    found = []
    if not _SPAN.fullmatch(interval):
        why = "it is a time span for a timer, a whole number with its unit"
        found.append(
            Problem(f"mlflow_artifact_check_watch_interval is {interval!r}", why, "write 90s, 15min, 1h or 1d")
        )
    if textfile_directory and not textfile_directory.startswith("/"):
        why = "it is not absolute, so its meaning would depend on who reads it"
        instead = "write node_exporter's directory, such as /var/lib/prometheus/node-exporter"
        found.append(Problem(f"mlflow_artifact_check_watch_textfile_directory is {textfile_directory!r}", why, instead))
    if deployment and not _DEPLOYMENT.fullmatch(deployment):
        why = "it has to fit on one line of a file, and to be told from others at sight"
        instead = "use up to 64 letters, digits and . _ -, such as team-a"
        found.append(Problem(f"mlflow_artifact_check_deployment is {deployment!r}", why, instead))
    return found
