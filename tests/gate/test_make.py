"""Lint and sanity among the tests, so that they run beside the scenarios, which wait more than they compute."""

from __future__ import annotations

import subprocess

import pytest

from tools import stage

QUICK = ("yamllint", "ruff", "mypy", "antsibull-changelog", "ansible-lint", "ansible-test", "antsibull-docs")
LONG = ("importer", "newest")


@pytest.mark.parametrize("target", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_make(target: str) -> None:
    ran = subprocess.run(
        ["make", target], check=False, cwd=stage.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    print(ran.stdout)
    for line in ran.stdout.splitlines():
        if line.startswith("skipped: "):
            pytest.skip(line)
    assert ran.returncode == 0, f"make {target}"
