# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that says which hosts a lab has."""

from __future__ import annotations

import pytest

from lab import spec
from lab.base import LabError


def test_a_spec_is_read_whole() -> None:
    text = (
        "hosts: {nas: {image: debian-12, memory_mb: 512, groups: [storage]}, web: {image: debian-13, memory_mb: 300}}"
    )

    assert spec.parse(text) == (
        spec.HostSpec(name="nas", image="debian-12", memory_mb=512, groups=("storage",)),
        spec.HostSpec(name="web", image="debian-13", memory_mb=300),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("[1", "is not YAML"),
        ("hosts: {}", "names no host"),
        ("hosts: [nas]", "names no host"),
        ("host: {}", "did you mean 'hosts'"),
        ("hosts: {nas: debian-12}", "host nas: expected keys"),
        ("hosts: {Nas: {image: debian-12, memory_mb: 512}}", "host 'Nas' is no name"),
        ("hosts: {-nas: {image: debian-12, memory_mb: 512}}", "host '-nas' is no name"),
        ("hosts: {1: {image: debian-12, memory_mb: 512}}", "host 1 is no name"),
        (f"hosts: {{{'n' * 31}: {{image: debian-12, memory_mb: 512}}}}", "is no name"),
        ("hosts: {nas: {image: debian-11, memory_mb: 512}}", "image is 'debian-11'; known are debian-12"),
        ("hosts: {nas: {memory_mb: 512}}", "image is None"),
        ("hosts: {nas: {image: debian-12}}", "memory_mb is None"),
        ("hosts: {nas: {image: debian-12, memory_mb: 128}}", "from 256 up"),
        ("hosts: {nas: {image: debian-12, memory_mb: true}}", "memory_mb is True"),
        ("hosts: {nas: {image: debian-12, memory_mb: '512'}}", "memory_mb is '512'"),
        ("hosts: {nas: {image: debian-12, memory: 512}}", "did you mean 'memory_mb'"),
        ("hosts: {nas: {image: debian-12, memory_mb: 512, groups: storage}}", "groups is 'storage'"),
        ("hosts: {nas: {image: debian-12, memory_mb: 512, groups: ['a b']}}", r"groups is \['a b'\]"),
    ],
)
def test_a_bad_spec_is_refused_with_its_source(text: str, message: str) -> None:
    with pytest.raises(LabError, match=f"^my.yml.*{message}"):
        spec.parse(text, "my.yml")


def test_a_lab_holds_a_hundred_hosts_at_most() -> None:
    hosts = ", ".join(f"h{n}: {{image: debian-12, memory_mb: 256}}" for n in range(101))
    with pytest.raises(LabError, match="101 hosts"):
        spec.parse(f"hosts: {{{hosts}}}")


@pytest.mark.parametrize("name", ["dev", "molecule-default", "molecule-my_story", "a" * 30])
def test_names_of_labs(name: str) -> None:
    assert spec.lab_name(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "a" * 31])
def test_names_that_no_lab_can_have(name: str) -> None:
    with pytest.raises(LabError, match="is no name"):
        spec.lab_name(name)
