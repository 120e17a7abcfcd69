"""What the scenarios need before Molecule starts."""

from __future__ import annotations

import os
import shutil
from typing import TypeGuard

import pytest

from tests.scenarios.lanes import Lanes
from tools import stage

LANES = pytest.StashKey[Lanes]()
DIRECTORY = stage.REPOSITORY / "molecule"
#: What a scenario wants on PATH, which can't be installed from Debian or PyPI.
WANTED = {"nomad": "nomad", "nomad_many": "nomad"}
#: The quick one first, for a plain mistake shows early, then the longest.
ORDER = ("default", "nfs", "moves", "paths", "several", "bare")


def scenarios() -> list[str]:
    """Return the names of all scenarios in the order they start in."""
    names = sorted(path.parent.name for path in DIRECTORY.glob("*/molecule.yml"))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _wants(scenario: str) -> str:
    wanted = WANTED.get(scenario, "")
    return wanted if wanted and shutil.which(wanted) is None else ""


def _runs(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Whether an item is a scenario that runs."""
    return isinstance(item, pytest.Function) and "lanes" in item.fixturenames and not item.get_closest_marker("skip")


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


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the scenarios before the first test of any kind: they have time until their own turn."""
    wanted = [str(item.callspec.params["scenario"]) for item in session.items if _runs(item)]
    if wanted and not session.config.option.collectonly:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            screen = os.dup(1)
        session.config.stash[LANES] = Lanes(wanted, session.config.getoption("--lanes"), screen)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if LANES in session.config.stash:
        session.config.stash[LANES].end()


@pytest.fixture(scope="session")
def lanes(pytestconfig: pytest.Config) -> Lanes:
    """The scenarios that run; the tests wait for them in turn."""
    return pytestconfig.stash[LANES]
