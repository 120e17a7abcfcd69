"""Debian's Prometheus, unpacked and not installed, for that would start it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.releases import NEWEST, Release, release


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of prometheus and promtool."""
    found = shutil.which("promtool")
    if found and shutil.which("prometheus"):
        return Path(found).parent
    directory = tmp_path_factory.mktemp("prometheus")
    directory.chmod(0o755)
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("there is neither a Prometheus here nor apt to get it")
    got = subprocess.run(
        ["apt-get", "--quiet", "download", "prometheus"], cwd=directory, capture_output=True, check=False
    )
    packages = list(directory.glob("prometheus_*.deb"))
    if got.returncode or not packages:
        pytest.skip(f"apt can't download prometheus: {got.stderr.decode(errors='replace')}")
    subprocess.run(["dpkg-deb", "--extract", packages[0], directory], check=True, timeout=120)
    return directory / "usr/bin"


@pytest.fixture(scope="session")
def newest() -> Release:
    return release(NEWEST)
