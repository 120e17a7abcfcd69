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
