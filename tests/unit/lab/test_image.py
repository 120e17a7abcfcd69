# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recipes: what is in an image, and when it must be built again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import docker, guest, image
from lab.machine import Settings

SETTINGS = Settings(
    certificates={"corp.crt": "PEM"},
    environment={"UV_INDEX": "https://b/simple"},
    pip={"index-url": "https://a/simple"},
    apt=('Acquire::http::Proxy "http://proxy:3128";',),
    mirror="http://mirror/debian",
    security_mirror="http://mirror/security",
    nameservers=("10.0.0.1",),
)
RECIPE = image.recipe("bookworm", SETTINGS, "6.1.0")


def test_an_image_carries_what_the_machine_needs_to_reach_the_world() -> None:
    assert RECIPE.files["/usr/local/share/ca-certificates/corp.crt"] == "PEM"
    assert RECIPE.files["/etc/pip.conf"] == "[global]\nindex-url = https://a/simple\n"
    assert SETTINGS.apt[0] in RECIPE.apt
    assert RECIPE.sources == (
        "deb http://mirror/debian bookworm main",
        "deb http://mirror/debian bookworm-updates main",
        "deb http://mirror/security bookworm-security main",
    )


def test_hosts_are_fresh() -> None:
    installed = {"nfs-common", "nfs-kernel-server", "python3-venv"} & set(RECIPE.packages)
    assert not installed


def test_a_container_has_nothing_that_only_a_machine_needs() -> None:
    container = image.recipe("bookworm", SETTINGS, None)

    assert not set(guest.FILES) & set(container.files)
    assert set(RECIPE.packages) - set(container.packages) == {"kmod", "openssh-server", "python3-apt", "udev"}


@pytest.mark.parametrize(
    "change",
    [
        lambda recipe: replace(recipe, suite="trixie"),
        lambda recipe: replace(recipe, packages=(*recipe.packages, "vim")),
        lambda recipe: replace(recipe, files={**recipe.files, "/etc/pip.conf": ""}),
        lambda recipe: replace(recipe, kernel="6.1.1"),
        lambda recipe: replace(recipe, masked=()),
    ],
)
def test_another_recipe_is_another_image(change: Callable[[image.Recipe], image.Recipe]) -> None:
    assert change(RECIPE).key != RECIPE.key


def test_the_same_recipe_is_the_same_image() -> None:
    assert replace(RECIPE, files=dict(reversed(list(RECIPE.files.items())))).key == RECIPE.key


def test_what_crashed_builds_left_is_cleared_away(tmp_path: Path) -> None:
    stale, other = tmp_path / ".build-debian-12-abc", tmp_path / ".build-debian-13-abc"
    (stale / "root").mkdir(parents=True)
    other.mkdir()

    with image.scratch(tmp_path, "debian-12") as directory:
        assert directory.is_dir()
        assert not stale.exists()
    assert [path.name for path in tmp_path.iterdir()] == [other.name]


def test_a_docker_image_knows_its_recipe_and_its_environment() -> None:
    lines = docker.changes({"https_proxy": "http://proxy:3128"}, "abc")

    assert 'CMD ["/sbin/init"]' in lines
    assert "LABEL selfhosted.mlflow.recipe=abc" in lines
    assert 'ENV https_proxy="http://proxy:3128"' in lines
