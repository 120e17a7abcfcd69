# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that says which hosts a lab has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from lab.base import LabError

IMAGES: Mapping[str, str] = {"debian-12": "bookworm", "debian-13": "trixie"}
DOMAIN = "lab.test"
MINIMUM_MEMORY_MB = 256  # systemd, sshd and one Python process
MAXIMUM_HOSTS = 100

NAME_LIMIT = 30  # both names together stand in the paths of sockets: lab.base.SOCKET_PATH_LIMIT

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")  # RFC 1123, lower case
_LAB = re.compile(r"[a-z0-9][a-z0-9_-]*")
_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST_KEYS = ("image", "memory_mb", "groups")


@dataclass(frozen=True)
class HostSpec:
    """One host: its image, its memory in MiB and its groups in the inventory."""

    name: str
    image: str
    memory_mb: int
    groups: tuple[str, ...] = ()


def _known(found: Iterable[object], known: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise LabError(f"{where}: unknown key {key!r}; {hint}")


def _name(name: object, what: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(name, str) or not pattern.fullmatch(name) or len(name) > NAME_LIMIT:
        raise LabError(f"{what} {name!r} is no name: use 1 to {NAME_LIMIT} lower-case letters, digits and inner dashes")
    return name


def lab_name(name: str) -> str:
    """Return `name` when a lab can have it.

    :raises LabError: it can't.
    """
    return _name(name, "lab", _LAB)


def _host(name: object, raw: object) -> HostSpec:
    host = _name(name, "host", _HOST)
    if not isinstance(raw, Mapping):
        raise LabError(f"host {host}: expected keys {', '.join(_HOST_KEYS)}, found {raw!r}")
    _known(raw, _HOST_KEYS, f"host {host}")
    image, memory, groups = raw.get("image"), raw.get("memory_mb"), raw.get("groups") or []
    if image not in IMAGES:
        raise LabError(f"host {host}: image is {image!r}; known are {', '.join(IMAGES)}")
    if isinstance(memory, bool) or not isinstance(memory, int) or memory < MINIMUM_MEMORY_MB:
        raise LabError(f"host {host}: memory_mb is {memory!r}; give a whole number from {MINIMUM_MEMORY_MB} up")
    if not isinstance(groups, list) or not all(isinstance(group, str) and _GROUP.fullmatch(group) for group in groups):
        raise LabError(f"host {host}: groups is {groups!r}; give a list of inventory group names")
    return HostSpec(name=host, image=str(image), memory_mb=memory, groups=tuple(groups))


def parse(text: str, source: str = "spec") -> tuple[HostSpec, ...]:
    """Read a lab's hosts from YAML.

    :param text: ``hosts: {nas: {image: debian-12, memory_mb: 512, groups: [storage]}}``.
    :param source: what error messages call the text.
    :raises LabError: the text says something else.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise LabError(f"{source} is not YAML: {error}") from error
    if not isinstance(raw, Mapping):
        raise LabError(f"{source}: expected a mapping with the key hosts, found {raw!r}")
    _known(raw, ("hosts",), source)
    hosts = raw.get("hosts")
    if not isinstance(hosts, Mapping) or not hosts:
        raise LabError(f"{source}: hosts names no host")
    if len(hosts) > MAXIMUM_HOSTS:
        raise LabError(f"{source}: {len(hosts)} hosts; a lab holds at most {MAXIMUM_HOSTS}")
    try:
        return tuple(_host(name, host) for name, host in hosts.items())
    except LabError as error:
        raise LabError(f"{source}: {error}") from error
