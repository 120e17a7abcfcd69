"""Databases of all kinds that real releases have filled."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.databases import Certificates
from tests.integration.database_program.site import NEWEST, Site, make_site

MakeSite = Callable[..., Site]
NUMBERS = itertools.count(1)
FIXTURES = {"postgresql": "postgresql", "mysql": "mariadb"}


@pytest.fixture(scope="session")
def fast_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Make directories in memory where that can be: MLflow has SQLite flush every call."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as parent:

        def make(name: str) -> Path:
            made = Path(parent, name)
            made.mkdir()
            return made

        yield make


@pytest.fixture(scope="session")
def new_site(
    request: pytest.FixtureRequest, fast_directory: Callable[[str], Path], certificates: Certificates
) -> MakeSite:
    def make(engine: str, version: str = NEWEST) -> Site:
        name = f"site{next(NUMBERS)}"
        # The server is started when it is first asked for.
        server = request.getfixturevalue(FIXTURES[engine]) if engine in FIXTURES else None
        site = make_site(fast_directory(name), engine, name, server, certificates)
        site.version = version
        return site

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


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
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
