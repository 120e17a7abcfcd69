"""Sites with real releases and real data, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.upgrade.site import OLD, Site, free_port, seed, seeded

RUNS = 1000
#: Older releases compare numbers with texts, which psycopg 3 does not put up with.
EXTRA = {(version, "postgresql"): ("psycopg2-binary==2.9.10",) for version in OLD}
MakeSite = Callable[..., Site]


class Postgres:
    """A throwaway cluster, which root starts as somebody else."""

    def __init__(self, directory: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not found:
            pytest.skip("SKIPPED on PostgreSQL: there is no /usr/lib/postgresql/*/bin (Debian's package postgresql)")
        self.programs = found[-1].parent
        self.directory = directory
        self.port = free_port()
        self.templates: set[str] = set()
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as the cluster's owner."""
        who = ["runuser", "-u", self.user, "--"] if os.geteuid() == 0 else []
        command = [*who, str(self.programs / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120)

    def start(self) -> None:
        """Make the cluster and start it; nothing in it is worth a flush."""
        self.directory.mkdir()
        shutil.chown(self.directory, self.user)
        data = str(self.directory / "data")
        self.run("initdb", "--auth=trust", "--username=mlflow", "--no-sync", "--encoding=UTF8", "--pgdata", data)
        options = f"-p {self.port} -k {self.directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        log = str(self.directory / "log")
        self.run("pg_ctl", "start", "--wait", "--silent", "--pgdata", data, "--options", options, "--log", log)

    def stop(self) -> None:
        """Stop the cluster, whoever is still connected."""
        self.run("pg_ctl", "stop", "--mode=immediate", "--pgdata", str(self.directory / "data"))

    def seeded(self, version: str, name: str) -> str:
        """Make a database that an old release has written, and return its address."""
        template, extra = f"seed-{version}", EXTRA[version, "postgresql"]
        address = f"postgresql+psycopg2://mlflow:s%40cret@127.0.0.1:{self.port}"
        given = ("--host", str(self.directory), "--port", str(self.port), "--username", "mlflow")
        if template not in self.templates:
            self.run("createdb", *given, template)
            seed(version, f"{address}/{template}", RUNS, self.directory / "artifacts", *extra)
            self.templates.add(template)
        self.run("createdb", *given, "--template", template, name)
        return f"{address}/{name}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not pytest's directory, which is for its own user only.
    with tempfile.TemporaryDirectory(prefix="selfhosted-mlflow-") as name:
        Path(name).chmod(0o711)
        cluster = Postgres(Path(name, "cluster"))
        cluster.start()
        yield cluster
        cluster.stop()


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a few megabytes."""

    path: Path

    def fill(self, leave: int) -> None:
        """Take all of its space but some megabytes."""
        free = shutil.disk_usage(self.path).free - leave * 1024 * 1024
        (self.path / "filling").write_bytes(bytes(free))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(path)], check=True)
    yield SmallDisk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def make_site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeSite]:
    """Return a function that lays out a server of an old release with its data, started unless told otherwise."""
    sites = []

    def make(version: str, engine: str = "sqlite", started: bool = True, beside: Site | None = None) -> Site:
        root = tmp_path / ("second" if beside else "mlflow")
        extra = EXTRA.get((version, engine), ())
        if beside:
            uri = beside.uri
        elif engine == "sqlite":
            database = root / "backend" / "mlflow.db"
            database.parent.mkdir(parents=True)
            shutil.copy(seeded(version, RUNS), database)
            uri = f"sqlite:///{database}"
        else:
            cluster: Postgres = request.getfixturevalue("postgres")
            uri = cluster.seeded(version, f"{abs(hash(str(root)))}")
        site = Site.make(root, version, uri, *extra)
        sites.append(site)
        if started:
            assert site.systemctl("start", "mlflow.service") == 0, (root / "server.log").read_text()
        return site

    yield make
    for site in sites:
        site.systemctl("stop", "mlflow.service")
