"""What the tests of the proxy share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import requirements
from lab.base import LabError, Places, Progress
from tests.integration.proxy.site import NAME, Authority, Proxy, Server, free_port, proxy, render

PREFIX = "/mlflow"


@pytest.fixture(scope="session")
def programs() -> None:
    """Nginx, Caddy and OpenSSL are installed, or that can't be done here."""
    try:
        requirements.require(Places.from_environment(os.environ), "proxies", Progress("proxies"))
    except LabError as error:
        pytest.skip(f"SKIPPED: {error}")


@pytest.fixture(scope="session")
def authority(programs: None, public_directory: Path) -> Authority:
    made = Authority.make(public_directory / "authority")
    made.issue("good", f"DNS:{NAME}")
    made.issue("other", "DNS:other.example.org")
    made.issue("old", f"DNS:{NAME}", until="20260201000000Z")
    made.issue("new", f"DNS:{NAME}", since="20490101000000Z")
    return made


@pytest.fixture(scope="session")
def site(authority: Authority, public_directory: Path) -> Iterator[tuple[Proxy, Server]]:
    """One server behind one proxy, with a prefix."""
    scratch, ports = public_directory / "one", [free_port() for _each in range(3)]
    variables = render(
        scratch,
        {
            "mlflow_tracking_uri": f"https://{NAME}:{ports[0]}{PREFIX}/",
            "mlflow_proxy_redirect_port": ports[1],
            "mlflow_proxy_servers": [{"name": "ml1", "address": "127.0.0.1", "port": ports[2]}],
            "mlflow_proxy_hsts_max_age": 600,
            "mlflow_proxy_acme_webroot": str(scratch / "challenges"),
            **authority.pair("good"),
        },
    )
    server = Server(scratch, ports[2], variables)
    with server.serving(), proxy(scratch, ports, authority) as running:
        yield running, server
