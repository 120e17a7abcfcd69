# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers in containers on this machine's Docker."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.base import LabError
from lab.outcomes import prove_run

COMMAND_SECONDS = 180
COMPOSE_SECONDS = 300
HEALTHY_SECONDS = 180
REFUSAL_SECONDS = 30
LOG_RUN = Path(__file__).parents[1] / "shared/log_run.py"
#: A user of a client, and the group that owns the artifacts.
_USER = "2001:851"


def _docker(
    arguments: tuple[str, ...], stdin: str, seconds: float = COMMAND_SECONDS
) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, input=stdin, timeout=seconds)


def docker(*arguments: str, stdin: str = "") -> str:
    """Run docker and return what it printed.

    :raises LabError: it failed.
    """
    done = _docker(arguments, stdin)
    if done.returncode:
        raise LabError(f"docker {' '.join(arguments)} failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout.strip()


def refusal(*arguments: str) -> str:
    """Run docker, which is to fail, and return what it said of it.

    :raises LabError: it did not fail.
    """
    try:
        done = _docker(arguments, "", REFUSAL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"docker {' '.join(arguments)} did not fail but runs on") from error
    if not done.returncode:
        raise LabError(f"docker {' '.join(arguments)} did not fail: {done.stdout}")
    return done.stderr


@dataclass(frozen=True)
class Server:
    """A container that runs MLflow.

    :ivar root: the artifact root, at the same path inside as outside.
    :ivar backend: the directory of the database outside.
    """

    name: str
    image: str
    access: str
    root: Path
    backend: Path

    @property
    def url(self) -> str:
        """Where this machine reaches it; another port after each start."""
        return f"http://{docker('port', self.name, '5000/tcp')}"

    def inspect(self) -> dict[str, Any]:
        """Return what Docker knows of the container."""
        (found,) = json.loads(docker("inspect", self.name))
        return dict(found)

    def wait_until_healthy(self) -> None:
        """Wait for the image's own check.

        :raises LabError: the container ended, or it took too long.
        """
        deadline = time.monotonic() + HEALTHY_SECONDS
        while (state := self.inspect()["State"])["Health"]["Status"] != "healthy":
            if not state["Running"] or time.monotonic() > deadline:
                raise LabError(f"{self.name} is not healthy: {state}\n{docker('logs', self.name)}")
            time.sleep(0.5)


@dataclass(frozen=True)
class Composed:
    """What Docker Compose runs.

    :ivar command: how to call it for this project.
    :ivar environment: the project's variables.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    server: Server

    def run(self, *arguments: str) -> str:
        """Run Docker Compose and return what it printed.

        :raises LabError: it failed.
        """
        command, environment = [*self.command, *arguments], {**os.environ, **self.environment}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=COMPOSE_SECONDS, env=environment
        )
        if done.returncode:
            raise LabError(f"{' '.join(command)} failed ({done.returncode}): {done.stdout}{done.stderr}")
        return done.stdout


def log_run(server: Server) -> dict[str, Any]:
    """Log a run as a user would, in another container beside the server's, and return what was logged."""
    mounts = [f"--volume={server.root}:{server.root}"] if server.access == "direct" else []
    client = ["--rm", "--interactive", "--user", _USER, "--network", f"container:{server.name}", *mounts]
    address = "--env=MLFLOW_TRACKING_URI=http://localhost:5000"
    words = ["--entrypoint", "/opt/mlflow/bin/python", server.image, "-", "first", "1"]
    printed = docker("run", *client, address, *words, stdin=LOG_RUN.read_text())
    return dict(json.loads(printed.splitlines()[-1]))


def prove(logged: dict[str, Any], server: Server) -> None:
    """Prove that a run and all its files arrived.

    :raises LabError: something is missing or different.
    """

    def as_the_service(argv: Sequence[str]) -> str:
        # The container's user is the service's: `runuser -u mlflow --` goes.
        return docker("exec", server.name, *argv[4:])

    prove_run(logged, server.url, str(server.root), as_the_service)
