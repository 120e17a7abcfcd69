"""Databases of all kinds that real releases have filled."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import NewDatabase
from tests.integration.database_program.site import Site
from tests.integration.databases import ENGINES, Database
from tests.integration.releases import NEWEST

MakeSite = Callable[..., Site]


@pytest.fixture(scope="session")
def new_site(fast_directory: Path, new_database: NewDatabase) -> MakeSite:
    numbers = itertools.count(1)

    def make(engine: str, version: str = NEWEST) -> Site:
        directory = fast_directory / f"site{next(numbers)}"
        (directory / "backend").mkdir(parents=True)
        sqlite = f"sqlite:///{directory}/backend/mlflow.db"
        return Site(directory, Database(sqlite) if engine == "sqlite" else new_database(engine), version)

    return make


@pytest.fixture(scope="session")
def filled(new_site: MakeSite) -> Callable[[str], Site]:
    """Return a database of a kind that the newest release has filled, for tests that leave it as it is."""
    made: dict[str, Site] = {}

    def fill(engine: str) -> Site:
        if engine not in made:
            made[engine] = new_site(engine)
            made[engine].mlflow("write")
        return made[engine]

    return fill


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(engine: str, filled: Callable[[str], Site]) -> Site:
    return filled(engine)


@pytest.fixture
def dumped(site: Site) -> Path:
    """A good dump of it, made once."""
    place = site.directory / "dump"
    if not place.exists():
        site.run("dump", place)
    return place
