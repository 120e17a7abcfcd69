"""What the scenarios need before Molecule starts."""

from __future__ import annotations

import pytest

from tools import stage

DIRECTORY = stage.REPOSITORY / "molecule"


def scenarios() -> list[str]:
    """Return the names of all scenarios, the quickest first: a plain mistake shows early."""
    names = (path.parent.name for path in DIRECTORY.glob("*/molecule.yml"))
    return sorted(names, key=lambda name: (name != "default", name))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scenario", action="append", choices=scenarios(), help="a scenario to run instead of all")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", metafunc.config.getoption("--scenario") or scenarios())
