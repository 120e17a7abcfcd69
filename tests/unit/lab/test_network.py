# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and names of labs, which must never collide."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab import network
from lab.base import SOCKET_PATH_LIMIT, LabError, Places
from lab.spec import NAME_LIMIT
from lab.state import network_of

PLACES = Places.from_environment({"HOME": "/home/somebody-with-a-long-name"})


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ([], "10.213.0.0/24"),
        (["default", "0.0.0.0/0", "fd00::/8", "broken"], "10.213.0.0/24"),
        (["10.213.0.0/24", "10.213.1.7"], "10.213.2.0/24"),
        (["10.213.0.1/23"], "10.213.2.0/24"),
        (["192.168.0.0/16", "10.0.0.0/16"], "10.213.0.0/24"),
    ],
)
def test_a_lab_takes_the_first_network_nobody_has(taken: list[str], chosen: str) -> None:
    assert network.choose_subnet("10.213.0.0/16", taken) == IPv4Network(chosen)


@pytest.mark.parametrize("taken", ["10.0.0.0/8", "10.213.0.0/16"])
def test_a_pool_that_is_routed_elsewhere_is_refused(taken: str) -> None:
    with pytest.raises(LabError, match="LAB_POOL"):
        network.choose_subnet("10.213.0.0/16", [taken])


def test_device_names_fit_the_kernel_and_differ() -> None:
    names = {network.tap_name(lab, PLACES.state) for lab in ("dev", "demo", "a" * NAME_LIMIT)}
    names.add(network.tap_name("dev", Path("/elsewhere")))

    assert len(names) == 4
    assert all(len(name) <= network.INTERFACE_NAME_LIMIT for name in names)


def test_the_longest_names_still_give_sockets_the_kernel_accepts() -> None:
    run = network_of(PLACES, "l" * NAME_LIMIT, "10.213.255.0/24").run
    sockets = [
        run / "switch",
        run / ("h" * NAME_LIMIT) / "mconsole",
        run / f"ssh-10.213.255.254.{'x' * 16}",  # ssh makes a shared connection's socket aside, then renames it
    ]
    assert max(len(str(path)) for path in sockets) <= SOCKET_PATH_LIMIT


def test_rules_are_the_labs_own() -> None:
    one, other = (network_of(PLACES, name, "10.213.3.0/24") for name in ("one", "other"))

    assert one.gateway == "10.213.3.1"
    assert not set(one.rules) & set(other.rules)
    assert all(f"selfhosted-mlflow {one.tap}" in rule for _table, _chain, rule in one.rules)


@pytest.fixture
def switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ip_forward"
    monkeypatch.setattr(network, "_FORWARD_SWITCH", path)
    return path


def test_forwarding_is_given_back_as_it_was(switch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_docker_routes", lambda: False)
    for before in ("0\n", "1\n"):
        switch.write_text(before)
        network.switch_forwarding_on(tmp_path / "note")
        network.switch_forwarding_on(tmp_path / "note")  # a second lab
        assert switch.read_text() == "1\n"
        assert network.switch_forwarding_back(tmp_path / "note") is None
        assert switch.read_text() == before


def test_forwarding_stays_on_for_docker_and_says_so(
    switch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_docker_routes", lambda: True)
    switch.write_text("0\n")
    network.switch_forwarding_on(tmp_path / "note")

    assert "Docker uses it" in str(network.switch_forwarding_back(tmp_path / "note"))
    assert switch.read_text() == "1\n"
