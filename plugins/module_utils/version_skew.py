# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client's release of MLflow goes with the server's.

Source: MLflow's "How to Upgrade MLflow", Semantic versioning; a maintainer's word on clients of 3 with servers of 2 in
mlflow/mlflow issue 16215 (not meant to be used together); mlflow/store/tracking/rest_store.py, where newer clients ask
the server's version for what older servers lack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RELEASE = re.compile(r"(?P<major>\d+)\.(?P<minor>\d+)")


@dataclass(frozen=True)
class Skew:
    """What is wrong, '' for nothing; ``refused`` says that it must not stay so."""

    problem: str = ""
    refused: bool = False


def judge(client: str, server: str) -> Skew:
    """Compare two releases.  Raises ValueError for a text that is no release."""
    ours, theirs = _release(client), _release(server)
    releases = f"the client has MLflow {client}, the server {server}"
    if ours[0] > theirs[0]:
        return Skew(
            f"{releases}: a newer major release calls what the server has not, and logging a model fails with 404; "
            f"upgrade the server first, or set mlflow_client_version to {server}",
            refused=True,
        )
    if ours[0] < theirs[0]:
        return Skew(f"{releases}: what is new in {theirs[0]} is unknown to the client; upgrade it")
    if ours > theirs:
        return Skew(f"{releases}: calls that came since are refused by the server; upgrade the server")
    return Skew()


def is_before(text: str, release: tuple[int, int]) -> bool:
    """Whether a text is a release of MLflow, and an older one than ``release``."""
    return bool(_RELEASE.match(text)) and _release(text) < release


def _release(text: str) -> tuple[int, int]:
    match = _RELEASE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no release of MLflow")
    return int(match["major"]), int(match["minor"])
