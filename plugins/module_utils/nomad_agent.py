# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Nomad agent of this host: its configuration, its service, and what its API says of its node."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded, mountinfo, nomad_volumes
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity, NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi, segment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_volumes import Place, Volume

_LOOK_SECONDS = 10.0
_PAUSE_SECONDS = 1.0


def read(path: str) -> str:
    """Return the text of a file of the agent's configuration, '' when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def other_files(path: str) -> dict[str, str]:
    """Return the files that the agent reads from the directory of ``path``, besides that one: path -> text."""
    directory = glob.escape(os.path.dirname(path))
    # Nomad takes names that begin with a dot as well, which a plain * leaves out.
    names = {
        name for mask in ("*", ".*") for kind in ("hcl", "json") for name in glob.glob(f"{directory}/{mask}.{kind}")
    }
    return {name: read(name) for name in sorted(names - {path}) if os.path.isfile(name)}


def _usable(path: str, read_only: bool) -> bool:
    return os.access(path, os.R_OK | os.X_OK | (0 if read_only else os.W_OK))


def _kind(path: str) -> dict[str, Any]:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return {"kind": "missing"}
    if os.path.islink(path):
        return {"kind": f"a link to {os.readlink(path)}"}
    owner = f"owner {status.st_uid}:{status.st_gid}, mode {status.st_mode & 0o7777:04o}"
    return {"kind": "directory" if os.path.isdir(path) else "a file", "owner": owner}


def look(volume: Volume, identity: Identity) -> Place:
    """Return what is at a volume's path, as the task's user finds it; a silent file server is given up."""
    entry = mountinfo.covering(mountinfo.read(), volume.path)
    source = f"{entry.fstype} {entry.source}, mounted at {entry.mount_point}" if entry else ""
    network = entry is not None and entry.is_network
    try:
        kind = bounded.run(lambda: _kind(volume.path), _LOOK_SECONDS)
        usable = bounded.run(lambda: _usable(volume.path, volume.read_only), _LOOK_SECONDS, identity)
    except PermissionError:
        # Root is nobody on a share: only the task's user may look further up.
        return Place("directory", source, network, usable=False, owner="not even its name can be looked up")
    except OSError as error:
        return Place("", source, network, error=error.strerror or str(error))
    except NoAnswerError as error:
        return Place("", source, network, error=str(error))
    return Place(source=source, network=network, usable=usable, **kind)


def _settings(api: NomadApi) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/agent/self")
    return found


def own_node(api: NomadApi) -> dict[str, Any]:
    """Return the node of the agent that is asked.  Raises NomadError, also when that is no client."""
    stats = _settings(api).get("stats") or {}
    number = (stats.get("client") or {}).get("node_id")
    if not number:
        raise NomadError(
            "no_client",
            f"the agent at {api.base} is a server only, so it has no host volumes",
            "run this on Nomad's clients, or name the client's own address",
        )
    found: dict[str, Any] = api.get(f"/v1/node/{segment(number)}")
    return found


@dataclass(frozen=True)
class Agent:
    """The agent: its systemd ``service``, its ``api``, and whether its node must show volumes within ``seconds``."""

    service: str
    api: NomadApi
    run: Runner
    seconds: float

    def unit(self) -> dict[str, str]:
        """Return what systemd knows of the service."""
        shown = "--property=Id,LoadState,ActiveState,KillMode,Result"
        lines = self.run(["systemctl", "show", shown, self.service])[1].splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def settings(self) -> dict[str, Any]:
        """Return the agent's own view of its configuration, secrets left out by Nomad.  Raises NomadError."""
        return _settings(self.api)

    def shows(self, volumes: Sequence[Volume]) -> str:
        """Return '' when the node is ready with these volumes, else what is missing yet."""
        try:
            node = own_node(self.api)
        except NomadError as error:
            return str(error)
        missing = nomad_volumes.not_shown(volumes, node)
        if missing:
            return f"the node {node.get('Name')} shows no host volume {', '.join(missing)} with that path"
        return "" if node.get("Status") == "ready" else f"the node {node.get('Name')} is {node.get('Status')}"

    def restart(self, volumes: Sequence[Volume]) -> str:
        """Restart the agent, and return '' once its node shows the volumes, else why it does not."""
        status, _out, errors = self.run(["systemctl", "restart", self.service])
        end = time.monotonic() + self.seconds
        missing = self.shows(volumes)
        while missing and time.monotonic() < end and self.unit().get("ActiveState") != "failed":
            time.sleep(_PAUSE_SECONDS)
            missing = self.shows(volumes)
        if missing and status != 0:
            return f"{missing}; systemctl restart said: {errors.strip()}"
        return missing

    def said(self) -> list[str]:
        """Return the last lines that the agent wrote to the journal, problems before all else."""
        lines = self.run(
            ["journalctl", f"--unit={self.service}", "--output=cat", "--no-pager", "--lines=40", "--since=-5min"]
        )[1].splitlines()
        bad = [line for line in lines if any(word in line.lower() for word in ("error", "fail", "invalid", "panic"))]
        return (bad or lines)[-8:]
