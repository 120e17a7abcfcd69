"""What the scenarios need before Molecule starts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.scenarios.lanes import Lanes
from tools import stage

DIRECTORY = stage.REPOSITORY / "molecule"
#: What a scenario wants on PATH, which can't be installed from Debian or PyPI.
WANTED = {"nomad": "nomad", "nomad_many": "nomad"}
#: The quick one first, for a plain mistake shows early, then the longest.
ORDER = ("default", "nfs", "bare", "paths")


def scenarios() -> list[str]:
    """Return the names of all scenarios in the order they start in."""
    names = sorted(path.parent.name for path in DIRECTORY.glob("*/molecule.yml"))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _wants(scenario: str) -> str:
    wanted = WANTED.get(scenario, "")
    return wanted if wanted and shutil.which(wanted) is None else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scenario", action="append", choices=scenarios(), help="a scenario to run instead of all")
    parser.addoption("--lanes", type=int, default=min(2, os.cpu_count() or 1), help="scenarios to run at a time")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        skipped = "there is no {0!r} on PATH, and a real one is what it is about"
        marked = [
            pytest.param(name, marks=pytest.mark.skip(f"SKIPPED {name}: {skipped.format(_wants(name))}"))
            if _wants(name)
            else name
            for name in metafunc.config.getoption("--scenario") or scenarios()
        ]
        metafunc.parametrize("scenario", marked)


@pytest.fixture(scope="session")
def lanes(request: pytest.FixtureRequest) -> Iterator[Lanes]:
    """Start the scenarios; the tests wait for them in turn."""
    wanted = [name for name in request.config.getoption("--scenario") or scenarios() if not _wants(name)]
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        screen = os.dup(1)
    started = Lanes(wanted, request.config.getoption("--lanes"), screen)
    yield started
    started.end()
    os.close(screen)
