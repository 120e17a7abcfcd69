# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server that speaks TLS itself, without a proxy, is refused for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import certificate
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_INPUTS = ("mlflow_server_tls_certificate", "mlflow_server_tls_key")
#: Releases from here on run on uvicorn; 3.1.4 and older on gunicorn (their ``mlflow server --help``).
_UVICORN_SINCE = (3, 5)


@dataclass(frozen=True)
class Tls:
    """The inputs: two files of the server's host, and what clients call it by."""

    certificate: str = ""
    key: str = ""
    names: tuple[str, ...] = ()


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def problems(
    tls: Tls, version: str, environment_names: Collection[str], pair: Optional[certificate.Pair], now: float
) -> Iterator[Problem]:
    """Yield every reason not to go on; ``pair`` is None when no files are named, ``now`` in seconds since 1970."""
    paths = (tls.certificate, tls.key)
    if bool(tls.certificate) != bool(tls.key):
        yield Problem("one of mlflow_server_tls_certificate and _key is given", "a server has both", "write both")
    if not all(paths) or pair is None:
        return
    if _release(version) < _UVICORN_SINCE:
        yield Problem(
            f"mlflow_server_tls_certificate is given, and mlflow_server_version is {version}",
            "that release runs on gunicorn, which the role has no settings for",
            "upgrade, or put a proxy before it: see the role mlflow_proxy",
        )
    if "MLFLOW_UVICORN_OPTS" in environment_names:
        yield Problem(
            "mlflow_server_environment has MLFLOW_UVICORN_OPTS, and mlflow_server_tls_certificate is given",
            "the role gives uvicorn the files by that variable, and yours would win",
            "leave one of them out",
        )
    yield from certificate.problems(_INPUTS, paths, tls.names, pair)
    if pair.certificate:
        yield from certificate.dated(tls.certificate, pair.certificate, now)
