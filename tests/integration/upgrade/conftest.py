"""Sites with real releases and real data, on databases of all kinds."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import NewDatabase
from tests.integration.databases import Database
from tests.integration.seeds import seed, seeded_file
from tests.integration.upgrade.site import Site

RUNS = 1000
MakeSite = Callable[..., Site]
Seeded = Callable[[str, str], Database]


@pytest.fixture(scope="session")
def seeded(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Seeded:
    """Make databases of an engine that a release has written; each release writes once."""
    templates: dict[tuple[str, str], Database] = {}
    numbers = itertools.count(1)

    def make(engine: str, version: str) -> Database:
        if engine == "sqlite":
            file = tmp_path_factory.mktemp("backend") / "mlflow.db"
            shutil.copy(seeded_file(version, RUNS), file)
            return Database(f"sqlite:///{file}")
        if (engine, version) not in templates:
            template = templates[engine, version] = new_database(engine)
            seed(template, version, "write", str(RUNS), tmp_path_factory.mktemp("artifacts"))
        return templates[engine, version].copied(f"upgraded{next(numbers)}")

    return make


@pytest.fixture
def make_site(tmp_path: Path, seeded: Seeded) -> Iterator[MakeSite]:
    """Return a function that lays out a server of an old release with its data, started only when told so."""
    sites: list[Site] = []

    def make(version: str, engine: str = "sqlite", database: Database | None = None, started: bool = False) -> Site:
        site = Site.make(tmp_path / f"mlflow{len(sites)}", version, database or seeded(engine, version))
        sites.append(site)
        if started:
            site.start()
        return site

    yield make
    for site in sites:
        site.systemctl("stop", "mlflow.service")


@dataclass(frozen=True)
class Disk:
    """A file system of its own, whose power can be cut."""

    image: Path
    place: Path

    def mount(self) -> None:
        # Nothing gets to the disk for being replaced, or within this test's time: only what was flushed.
        options = "loop,noauto_da_alloc,commit=300"
        subprocess.run(["mount", "-t", "ext4", "-o", options, self.image, self.place], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self.place], check=True)

    def cut_power(self, site: Site) -> None:
        """Go on with what is on the disk at this moment, as after a power cut; processes are gone."""
        left = self.image.with_suffix(".left")
        subprocess.run(["cp", "--sparse=always", self.image, left], check=True)
        site.kill()
        self.unmount()
        left.replace(self.image)
        self.mount()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 300 MB, of which a few are used."""
    made = Disk(tmp_path / "disk.ext4", tmp_path / "disk")
    made.place.mkdir()
    subprocess.run(["truncate", "--size=300M", made.image], check=True)
    subprocess.run(["mkfs.ext4", "-q", made.image], check=True)
    made.mount()
    yield made
    made.unmount()


@pytest.fixture
def site_on_disk(disk: Disk, seeded: Seeded) -> Iterator[Site]:
    """A server of 3.1.4 with its database on that disk; nothing of it is still to be written."""
    file = shutil.copy(seeded("sqlite", "3.1.4").name, disk.place)
    site = Site.make(disk.place / "mlflow", "3.1.4", Database(f"sqlite:///{file}"))
    os.sync()
    yield site
    site.kill()
