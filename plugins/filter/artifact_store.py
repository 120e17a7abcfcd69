# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``selfhosted.mlflow.artifact_store``; documented in the file beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_store as stores


def _parted(variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        "variables": {name: value for name, value in variables.items() if not stores.is_secret(name)},
        "secrets": {name: value for name, value in variables.items() if stores.is_secret(name)},
    }


def artifact_store(given: Mapping[str, Any], access: str = "") -> dict[str, Any]:
    """Return what follows from a store; of one that is wrong, as of none: a preflight says what is wrong with it."""
    try:
        store = stores.parse({**({"access": access} if access else {}), **given})
        destination, ssh_config = store.destination, stores.ssh_config(store)
    except (AttributeError, TypeError, ValueError):
        store, destination, ssh_config = stores.Store(), "", ""
    endpoint = stores.endpoint(store)
    return {
        "kind": store.kind,
        "access": store.access,
        "root": store.root,
        "destination": {"address": destination, "secret": destination != store.root},
        "endpoint": list(endpoint) if endpoint else [],
        "driver": stores.driver(store),
        "client_driver": stores.driver(store, library=True),
        "package": stores.PACKAGES.get(store.kind, ""),
        "server": _parted(stores.environment(store)),
        "client": _parted(stores.client_environment(store)),
        "files": stores.files(store),
        "ssh_config": ssh_config,
        "known_hosts": "".join(f"{line}\n" for line in store.known_hosts),
        "deletes": bool(store.kind) and store.kind != stores.FTP and store.scheme != "abfss",
    }


class FilterModule:
    """The collection's filter ``artifact_store``."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"artifact_store": artifact_store}
