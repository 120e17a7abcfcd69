"""What the tests of the stores share: each store is started once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.proxy.site import Authority
from tests.integration.stores import services
from tests.integration.stores.services import Service


@pytest.fixture(scope="session")
def store_authority(public_directory: Path) -> Authority:
    return Authority.make(public_directory / "store-authority")


@pytest.fixture(scope="session")
def s3(public_directory: Path, store_authority: Authority) -> Iterator[Service]:
    with services.s3(public_directory / "s3", store_authority) as service:
        yield service


@pytest.fixture(scope="session")
def azure(public_directory: Path) -> Iterator[Service]:
    with services.azure(public_directory / "azure") as service:
        yield service


@pytest.fixture(scope="session")
def gcs(public_directory: Path) -> Iterator[Service]:
    with services.gcs(public_directory / "gcs") as service:
        yield service


@pytest.fixture(scope="session")
def sftp(public_directory: Path) -> Iterator[Service]:
    with services.sftp(public_directory / "sftp") as service:
        yield service


@pytest.fixture(scope="session")
def ftp(public_directory: Path) -> Iterator[Service]:
    with services.ftp(public_directory / "ftp") as service:
        yield service
