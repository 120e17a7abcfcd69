# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that stand in the place of a registry's."""

from __future__ import annotations

import re

import pytest

from lab import docker
from lab.base import LabError, Places, Progress
from tests.unit.lab.test_image import SETTINGS


@pytest.mark.parametrize("name", docker.ADDITIONS)
def test_an_addition_copies_only_what_there_is(name: str) -> None:
    copied = re.findall(r"^COPY (\S+) ", "\n".join(docker.ADDITIONS[name]), re.MULTILINE)
    assert set(copied) <= set(docker.FILES)


def test_what_docker_runs_in_place_of_hosts_is_named_as_ours() -> None:
    assert docker.BASE.startswith(docker.OWN_PREFIX)
    assert docker.BASE.removeprefix(docker.OWN_PREFIX) not in docker.ADDITIONS


def test_an_image_that_is_not_made_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "start_engine", lambda *_given: None)
    places = Places.from_environment({})
    with pytest.raises(LabError, match="known are debian:12, debian:13, "):
        docker.make_ready(places, ["selfhosted-mlflow/debian:11"], SETTINGS, Progress("docker"))
