# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user wants of a deployment, held against what the server knows and has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.base import LabError
from lab.tracking import get_run, list_artifacts

#: Runs a command on the server and returns what it prints.
OnServer = Callable[[Sequence[str]], str]


def server_path(root: str, artifact_uri: str) -> str:
    """Return where the server has a run's artifacts, for direct and proxied addresses.

    :param root: the directory that holds all artifacts on the server.
    :raises LabError: the address is of neither kind.
    """
    proxied = "mlflow-artifacts:/"
    if artifact_uri.startswith(proxied):
        return f"{root}/{artifact_uri[len(proxied) :].lstrip('/')}"
    if artifact_uri.startswith(f"{root}/"):
        return artifact_uri
    raise LabError(f"the run's artifacts are at {artifact_uri}, not below {root}")


def prove_run(
    logged: Mapping[str, Any], url: str, root: str, on_server: OnServer, user: str = "mlflow", authority: str = ""
) -> str:
    """Prove that a run and all its files arrived, and say in a line what was proved.

    :param logged: what molecule/shared/log_run.py printed on the client.
    :param url: the server's address as this machine reaches it.
    :param root: the directory that holds all artifacts on the server.
    :param user: the account the server runs as.
    :param authority: certificates in PEM that the server's must be signed by, when it speaks TLS.
    :raises LabError: something is missing or different.
    """
    seen = get_run(url, logged["run_id"], authority)
    if (seen.status, seen.params, seen.metrics) != ("FINISHED", logged["params"], logged["metrics"]):
        raise LabError(f"the client logged {logged}, the server knows {seen}")
    sizes = list_artifacts(url, logged["run_id"], authority=authority)
    if set(sizes) != set(logged["files"]):
        raise LabError(f"the client logged {sorted(logged['files'])}, the server lists {sorted(sizes)}")
    directory, names = server_path(root, logged["artifact_uri"]), list(logged["files"])
    # As the service user: a file that only root can read is lost to MLflow.
    command = ["runuser", "-u", user, "--", "sha256sum", *(f"{directory}/{name}" for name in names)]
    digests = [line.split()[0].lstrip("\\") for line in on_server(command).splitlines()]
    if dict(zip(names, digests, strict=True)) != logged["files"]:
        raise LabError(f"the files below {directory} on the server are not what the client logged")
    return (
        f"run {logged['run_id']}: {len(seen.params)} params, {len(seen.metrics)} metric, {len(names)} files "
        f"({sum(sizes.values()) / 1024 / 1024:.1f} MiB) listed by the server, each sha256 equal on the server"
    )
