"""Each row is what a server with TLS of its own is refused for."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.certificate import Certificate, Pair
from ansible_collections.selfhosted.mlflow.plugins.module_utils.server_tls import Tls, problems

TLS = Tls("/c.pem", "/c.key", ("ml.example.org",))
PAIR = Pair(Certificate("CN = ml", "CN = ca", ("ml.example.org",), 0, 100, "key"), public_key="key")


@pytest.mark.parametrize(
    ("tls", "version", "environment", "pair", "now", "found"),
    [
        (Tls("/c.pem", ""), "3.17.2", (), None, 50, "one of"),
        (Tls("", "/c.key"), "3.17.2", (), None, 50, "one of"),
        (TLS, "3.1.4", (), PAIR, 50, "version is 3.1.4"),
        (TLS, "2.22.5", (), PAIR, 50, "version is 2.22.5"),
        (TLS, "3.17.2", ("MLFLOW_UVICORN_OPTS",), PAIR, 50, "MLFLOW_UVICORN_OPTS"),
        (Tls("/c.pem", "/c.key", ("other",)), "3.17.2", (), PAIR, 50, "not for other"),
        (TLS, "3.17.2", (), PAIR, 200, "has expired"),
    ],
)
def test_refuses(
    tls: Tls, version: str, environment: tuple[str, ...], pair: Pair | None, now: float, found: str
) -> None:
    (problem,) = problems(tls, version, environment, pair, now)
    assert found in problem.found


@pytest.mark.parametrize(("tls", "pair"), [(TLS, PAIR), (Tls(names=("ml.example.org",)), None)])
def test_accepts(tls: Tls, pair: Pair | None) -> None:
    assert list(problems(tls, "3.17.2", (), pair, 50)) == []
