# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab remembers, and what Ansible is told of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from lab import inventory, state
from lab.base import LabError, Places
from lab.spec import HostSpec

SUBNET = IPv4Network("10.213.4.0/24")
NAS = HostSpec(name="nas", image="debian-12", memory_mb=512, groups=("storage",))
WEB = HostSpec(name="web", image="debian-13", memory_mb=512, groups=("workers", "storage"))
BASES = {"debian-12": "/c/debian-12-new.img", "debian-13": "/c/debian-13-new.img"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(cache=tmp_path / "cache", state=tmp_path / "state", run=tmp_path / "run")


@pytest.fixture
def lab(places: Places) -> state.Lab:
    directory = state.directory_of(places, "dev")
    directory.mkdir(parents=True)
    hosts = state.assign([NAS, WEB], {}, SUBNET, BASES)
    return state.Lab(name="dev", directory=directory, network=state.network_of(places, "dev", str(SUBNET)), hosts=hosts)


def test_new_hosts_get_addresses_in_order() -> None:
    hosts = state.assign([NAS, WEB], {}, SUBNET, BASES)

    assert [(host.address, host.base) for host in hosts.values()] == [
        ("10.213.4.10", BASES["debian-12"]),
        ("10.213.4.11", BASES["debian-13"]),
    ]


def test_hosts_that_exist_keep_address_and_image_whoever_comes_or_goes() -> None:
    before = state.assign([NAS, WEB], {}, SUBNET, dict.fromkeys(BASES, "/c/old.img"))
    late = replace(NAS, name="late")
    after = state.assign([late, replace(WEB, memory_mb=1024)], before, SUBNET, BASES)

    assert after["web"] == replace(before["web"], memory_mb=1024)
    assert after["late"].address == "10.213.4.12"
    assert "nas" not in after


def test_a_host_cannot_become_another_release() -> None:
    before = state.assign([NAS], {}, SUBNET, BASES)
    with pytest.raises(LabError, match="nas runs debian-12, the spec says debian-13"):
        state.assign([replace(NAS, image="debian-13")], before, SUBNET, BASES)


def test_a_lab_is_read_back_as_it_was(places: Places, lab: state.Lab) -> None:
    state.save(lab)

    assert state.load(places, "dev") == lab
    assert state.names(places) == ["dev"]
    assert state.subnets(places) == [str(SUBNET)]
    assert state.images_in_use(places) == set(BASES.values())


def test_a_lab_that_crashed_before_it_was_written_down_is_none(places: Places, lab: state.Lab) -> None:
    assert state.load(places, lab.name) is None
    assert state.names(places) == ["dev"]
    assert state.subnets(places) == []


def test_a_host_that_is_not_there_is_refused_by_name(lab: state.Lab) -> None:
    with pytest.raises(LabError, match="no host 'nsa'; it has nas, web"):
        lab.host("nsa")


def test_the_inventory_has_hosts_groups_and_the_way_in(lab: state.Lab) -> None:
    everything = yaml.safe_load(inventory.inventory(lab))["all"]

    assert everything["children"] == {
        "storage": {"hosts": {"nas": None, "web": None}},
        "workers": {"hosts": {"web": None}},
    }
    nas = everything["hosts"]["nas"]
    assert nas["ansible_host"] == "10.213.4.10"
    assert nas["ansible_user"] == "root"
    assert nas["ansible_ssh_private_key_file"] == str(lab.directory / "id_ed25519")
    assert f"-o UserKnownHostsFile={lab.directory}/known_hosts" in nas["ansible_ssh_common_args"]
    assert "-o StrictHostKeyChecking=yes" in nas["ansible_ssh_common_args"]
    assert nas["ansible_python_interpreter"] == "/usr/bin/python3"


def test_without_groups_the_inventory_has_hosts_only(lab: state.Lab) -> None:
    alone = replace(lab, hosts={"nas": replace(lab.hosts["nas"], groups=())})

    assert list(yaml.safe_load(inventory.inventory(alone))["all"]) == ["hosts"]


def test_ssh_knows_hosts_by_name_and_by_key(lab: state.Lab) -> None:
    config = inventory.ssh_config(lab)

    assert "Host web web.lab.test\n  HostName 10.213.4.11\n" in config
    assert config.index("Host nas") < config.index("Host *")
    assert inventory.known_hosts(lab, {"nas": "ssh-ed25519 AAAA", "gone": "x"}) == "10.213.4.10 ssh-ed25519 AAAA\n"
