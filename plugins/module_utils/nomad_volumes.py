# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host volumes of a Nomad client: what its drop-in says, and what is wrong with the paths.

Sources: Nomad's documentation of the agent's ``client`` block; ``client/client.go``, whose agent ends at its start
when a volume's path is missing; ``acl/policy.go`` for the names that a policy can grant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_NAME = re.compile(r"[a-zA-Z0-9-]{1,128}")
_SPECIAL = re.compile(r"[\"\\\\$%\x00-\x1f\x7f]")
_LEAVE = {"leave_on_interrupt": "LeaveOnInt", "leave_on_terminate": "LeaveOnTerm"}
_HCL = r'^\s*(?:")?host_volume"?\s+"?{name}"?\s*\{{'


@dataclass(frozen=True)
class Volume:
    """A host volume; ``share`` is the NFS share that must be mounted there, '' for a local directory."""

    name: str
    path: str
    read_only: bool = False
    share: str = ""


@dataclass(frozen=True)
class Place:
    """What a host has at a volume's path.

    ``source`` is what is mounted at or above it, ``network`` whether that is a network file system;
    ``usable`` tells whether the task's user may list it and, where it must, write to it.
    """

    kind: str
    source: str = ""
    network: bool = False
    usable: Optional[bool] = None
    owner: str = ""
    error: str = ""


def render(volumes: Sequence[Volume]) -> str:
    """Return the drop-in.  In HCL: of JSON the agent takes two volumes only in a form that nobody would guess."""
    blocks = [
        f'  host_volume "{volume.name}" {{\n'
        f'    path      = "{volume.path}"\n'
        f"    read_only = {str(volume.read_only).lower()}\n"
        "  }\n"
        for volume in volumes
    ]
    return "# Ansible managed, by the role mlflow_nomad\nclient {\n" + "\n".join(blocks) + "}\n"


def _defined(text: str) -> set[str]:
    """Return the names of the volumes that a JSON file of the agent's configuration defines."""
    try:
        blocks = json.loads(text)["client"]
        # HCL's JSON allows one object or a list of them at every level.
        blocks = blocks if isinstance(blocks, list) else [blocks]
        volumes = [block.get("host_volume", {}) for block in blocks]
        return {name for one in volumes for each in (one if isinstance(one, list) else [one]) for name in each}
    except (ValueError, LookupError, TypeError, AttributeError):
        return set()


def defined_by(files: Mapping[str, str], name: str) -> list[str]:
    """Return which files of the agent's configuration define a volume of that name."""
    pattern = re.compile(_HCL.format(name=re.escape(name)), re.MULTILINE)
    return sorted(path for path, text in files.items() if pattern.search(text) or name in _defined(text))


def input_problems(volumes: Sequence[Volume], files: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with the volumes as they are written; ``files`` are the agent's other files."""
    problems = []
    for volume in volumes:
        if not _NAME.fullmatch(volume.name):
            problems.append(
                Problem(
                    f"the host volume's name {volume.name!r}",
                    "an ACL policy can't grant it: Nomad takes letters, digits and hyphens there, 128 at most",
                    "choose a name such as mlflow-artifacts",
                )
            )
        if not volume.path.startswith("/") or "/../" in volume.path + "/" or volume.path == "/":
            problems.append(
                Problem(
                    f"the path {volume.path!r} of the host volume {volume.name}",
                    "inside and outside of the task it must be one directory, by one name",
                    "write an absolute path below /, without '..'",
                )
            )
        if _SPECIAL.search(volume.path):
            problems.append(
                Problem(
                    f"the path {volume.path!r} of the host volume {volume.name}",
                    "it has a character that means something else in Nomad's configuration",
                    "choose a path without quotes, backslashes, dollar and percent signs and line breaks",
                )
            )
        problems += [
            Problem(
                f"{path} defines a host volume {volume.name}, too",
                "Nomad merges files in the order of their names, so one of the two would silently win",
                f"remove it from {path}, or choose another name",
            )
            for path in defined_by(files, volume.name)
        ]
    names = [volume.name for volume in volumes]
    return problems + [
        Problem(f"two host volumes called {name}", "one would hide the other", "name them apart")
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _kind_problem(volume: Volume, place: Place) -> Optional[Problem]:
    named = f"{volume.path}, of the host volume {volume.name},"
    if place.error:
        return Problem(
            f"{named} can't be looked at: {place.error}",
            "the agent would hang or end on it",
            "mend the mount first; `findmnt --nocanonicalize` says what is there",
        )
    if place.kind == "missing":
        return Problem(
            f"{named} does not exist",
            "a Nomad agent ends at its start when a host volume's path is missing, and with it all that it would run",
            "create it first (roles mlflow_nfs_mount and mlflow_directories do)",
        )
    if place.kind != "directory":
        return Problem(
            f"{named} is no directory, but {place.kind}",
            "a task would get another path than MLflow's clients have",
            "name the directory itself",
        )
    return None


def _share_problem(volume: Volume, place: Place) -> Optional[Problem]:
    if not volume.share or place.network:
        return None
    return Problem(
        f"{volume.share} is not mounted at {volume.path}: it lies on {place.source or 'a local file system'}",
        "the server would read and write a local directory while the clients use the share",
        "mount it first (role mlflow_nfs_mount)",
    )


def place_problems(volume: Volume, place: Place, user: str) -> list[Problem]:
    """Return what is wrong with a volume's path on this host; ``user`` is whom the task runs as, in words."""
    problem = _kind_problem(volume, place) or _share_problem(volume, place)
    if problem is None and place.usable is False:
        problem = Problem(
            f"{user} may not {'read' if volume.read_only else 'write to'} {volume.path} ({place.owner})",
            "Nomad changes no owner of a host volume, so the server in the task could not use it",
            f"give the directory to {user} (role mlflow_directories), or run the task as its owner",
        )
    return [problem] if problem else []


def disturbing(agent: Mapping[str, Any], unit: Mapping[str, str]) -> list[str]:
    """Return the settings by which a restart of the agent would end what runs on it.

    ``agent`` is the ``config`` of /v1/agent/self, ``unit`` what systemd says of the service.
    """
    found = [name for name, key in _LEAVE.items() if agent.get(key)]
    drain = (agent.get("Client") or {}).get("DrainOnShutdown") or (agent.get("Client") or {}).get("Drain")
    if drain:
        found.append("client.drain_on_shutdown")
    if unit.get("KillMode", "process") not in ("process", "none"):
        found.append(f"KillMode={unit['KillMode']} in {unit.get('Id', 'the unit')}")
    return found


_LEAVE = {"leave_on_interrupt": "LeaveOnInt", "leave_on_terminate": "LeaveOnTerm"}


def not_shown(volumes: Iterable[Volume], node: Mapping[str, Any]) -> list[str]:
    """Return the volumes that a node, as /v1/node/:id tells of it, doesn't have or has otherwise."""
    shown = node.get("HostVolumes") or {}
    return [
        volume.name
        for volume in volumes
        if (shown.get(volume.name) or {}).get("Path") != volume.path
        or bool(shown[volume.name].get("ReadOnly")) != volume.read_only
    ]
