"""What the scenarios need before Molecule starts."""

from __future__ import annotations

import os
import shutil
import signal
from types import FrameType
from typing import TypeGuard

import pytest

from tests.scenarios.lanes import Lanes
from tools import stage

LANES = pytest.StashKey[Lanes]()
DIRECTORY = stage.REPOSITORY / "molecule"
#: What a scenario wants on PATH, which can't be installed from Debian or PyPI.
WANTED = {"nomad": "nomad", "nomad_many": "nomad"}
#: What each change is not asked to wait for.
LONG = ("moves", "paths", "several", "bare", "image")
#: The quick ones first, for a plain mistake shows early, and beside lint and sanity user-mode Linux crawls. Then the
#: longest.
ORDER = ("default", "drill", "exposed", "nfs", *LONG, "database")


def scenarios() -> list[str]:
    """Return the names of all scenarios in the order they start in."""
    names = sorted(path.parent.name for path in DIRECTORY.glob("*/molecule.yml"))
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def _wants(scenario: str) -> str:
    wanted = WANTED.get(scenario, "")
    return wanted if wanted and shutil.which(wanted) is None else ""


def _marks(scenario: str, chosen: bool) -> list[pytest.MarkDecorator]:
    """Return what keeps a scenario from running: nothing, where it was chosen by name and has what it wants."""
    if wanted := _wants(scenario):
        reason = f"SKIPPED {scenario}: there is no {wanted!r} on PATH, and a real one is what it is about"
        return [pytest.mark.skip(reason)]
    return [pytest.mark.long] if scenario in LONG and not chosen else []


def _runs(item: pytest.Item) -> TypeGuard[pytest.Function]:
    """Whether an item is a scenario that runs."""
    return isinstance(item, pytest.Function) and "lanes" in item.fixturenames and not item.get_closest_marker("skip")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--scenario", action="append", choices=scenarios(), help="a scenario to run instead of all")
    parser.addoption("--lanes", type=int, default=min(2, os.cpu_count() or 1), help="scenarios to run at a time")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "scenario" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--scenario")
        metafunc.parametrize(
            "scenario", [pytest.param(name, marks=_marks(name, bool(chosen))) for name in chosen or scenarios()]
        )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the scenarios before the first test of any kind: they have time until their own turn."""
    wanted = [str(item.callspec.params["scenario"]) for item in session.items if _runs(item)]
    if wanted and not session.config.option.collectonly:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            screen = os.dup(1)
        # Without it the scenarios and their hosts would outlive this process.
        signal.signal(signal.SIGTERM, _told_to_end)
        long = bool(session.config.getoption("--long") or session.config.getoption("--scenario"))
        session.config.stash[LANES] = Lanes(wanted, session.config.getoption("--lanes"), screen, long)


def _told_to_end(_number: int, _frame: FrameType | None) -> None:
    pytest.exit("told to end", returncode=128 + signal.SIGTERM)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if LANES in session.config.stash:
        session.config.stash[LANES].end()


@pytest.fixture(scope="session")
def lanes(pytestconfig: pytest.Config) -> Lanes:
    """The scenarios that run; the tests wait for them in turn."""
    return pytestconfig.stash[LANES]
