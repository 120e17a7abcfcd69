# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios run the tests that they name: Molecule passes over what it does not find."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tools import stage

VERIFIED = [
    (file.parent, directory)
    for file in sorted(stage.REPOSITORY.glob("molecule/*/molecule.yml"))
    for step in yaml.safe_load(file.read_text())["scenario"]["test_sequence"]
    if step.split()[0] == "verify"
    for directory in step.split()[1:] or ["tests"]
]


@pytest.mark.parametrize(("scenario", "directory"), VERIFIED, ids=lambda given: getattr(given, "name", given))
def test_each_directory_has_tests(scenario: Path, directory: str) -> None:
    assert (scenario / directory).is_dir()
    assert list((scenario / directory).rglob("test_*.py"))


def test_every_test_is_run() -> None:
    """By its own scenario, whichever directory it is in."""
    found = set(stage.REPOSITORY.glob("molecule/*/tests/**/test_*.py"))
    assert (
        found
        - {test for scenario, directory in VERIFIED for test in (scenario / directory).resolve().rglob("test_*.py")}
        == set()
    )
