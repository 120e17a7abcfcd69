# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab remembers between runs, and which network it may take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from lab.base import LabError, Places, write_atomically
from lab.network import LabNetwork, tap_name
from lab.spec import HostSpec

FIRST_HOST = 10  # the fourth number of the first host's address


@dataclass(frozen=True)
class Host:
    """One host as it was made: its spec, its address and the image its disk is based on."""

    name: str
    image: str
    memory_mb: int
    groups: tuple[str, ...]
    address: str
    base: str


@dataclass(frozen=True)
class Lab:
    """One lab: its directory, its network and its hosts."""

    name: str
    directory: Path
    network: LabNetwork
    hosts: Mapping[str, Host]

    def host(self, name: str) -> Host:
        """Return the host of that name.

        :raises LabError: there is none.
        """
        if name not in self.hosts:
            raise LabError(f"lab {self.name} has no host {name!r}; it has {', '.join(self.hosts) or 'none'}")
        return self.hosts[name]

    @property
    def addresses(self) -> dict[str, str]:
        """Host name -> IPv4 address."""
        return {host.name: host.address for host in self.hosts.values()}


def directory_of(places: Places, lab: str) -> Path:
    """Where a lab keeps its disks, keys and inventory."""
    return places.labs / lab


def network_of(places: Places, lab: str, subnet: str) -> LabNetwork:
    """Name all that belongs to a lab's network."""
    return LabNetwork(lab=lab, subnet=IPv4Network(subnet), tap=tap_name(lab, places.state), run=places.run / lab)


def names(places: Places) -> list[str]:
    """Return the names of all labs that left anything."""
    return sorted(path.name for path in places.labs.glob("*") if path.is_dir())


def load(places: Places, name: str) -> Lab | None:
    """Read a lab back; None when it was never set up, or not far enough to matter."""
    directory = directory_of(places, name)
    try:
        raw = json.loads((directory / "lab.json").read_text())
    except FileNotFoundError:
        return None
    hosts = {item["name"]: Host(**{**item, "groups": tuple(item["groups"])}) for item in raw["hosts"]}
    return Lab(name=name, directory=directory, network=network_of(places, name, raw["subnet"]), hosts=hosts)


def save(lab: Lab) -> None:
    """Write a lab down, whole."""
    raw = {"subnet": str(lab.network.subnet), "hosts": [asdict(host) for host in lab.hosts.values()]}
    write_atomically(lab.directory / "lab.json", json.dumps(raw, indent=2) + "\n")


def subnets(places: Places) -> list[str]:
    """Return the networks of all labs, running or not."""
    labs = (load(places, name) for name in names(places))
    return [str(lab.network.subnet) for lab in labs if lab]


def images_in_use(places: Places) -> set[str]:
    """Return the images that disks of hosts are based on."""
    labs = (load(places, name) for name in names(places))
    return {host.base for lab in labs if lab for host in lab.hosts.values()}


def assign(
    specs: Sequence[HostSpec], known: Mapping[str, Host], subnet: IPv4Network, bases: Mapping[str, str]
) -> dict[str, Host]:
    """Give every host of a spec its address and image; hosts that exist keep theirs.

    :param bases: image name -> path of the image new disks are based on.
    :raises LabError: a host exists with another image.
    """
    used = {host.address for host in known.values()}
    free: Iterable[str] = iter([str(subnet[n]) for n in range(FIRST_HOST, 255) if str(subnet[n]) not in used])
    hosts: dict[str, Host] = {}
    for spec in specs:
        old = known.get(spec.name)
        if old and old.image != spec.image:
            raise LabError(f"host {spec.name} runs {old.image}, the spec says {spec.image}; `lab down` first")
        hosts[spec.name] = Host(
            name=spec.name,
            image=spec.image,
            memory_mb=spec.memory_mb,
            groups=spec.groups,
            address=old.address if old else next(iter(free)),
            base=old.base if old else bases[spec.image],
        )
    return hosts
