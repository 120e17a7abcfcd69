# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As whom modules that change something at a tracking server ask it, and what they say when they won't."""

from __future__ import annotations

from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import basic_auth
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import ARGUMENTS, Access

#: What such modules are told, as the documentation fragment ``administrator`` has it.
ADMINISTRATOR: dict[str, dict[str, Any]] = {**ARGUMENTS, "admin_config": {"type": "path"}}
#: Why a call fails where no server is (yet); the second is of localhost on a host without IPv6.
#: In check mode neither the server nor the authority of its proxy need be there yet.
NOBODY_THERE = ("refused", "network", "ca_bundle")


class RefusedError(Exception):
    """Something can't be as wished; holds the problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(render(problems))


def credentials(given: dict[str, Any]) -> tuple[str, str]:
    """Return the name and password of the administrator who asks.  Raises RefusedError."""
    if given["username"] or given["token"] or not given["admin_config"]:
        return given["username"], given["password"]
    try:
        with open(given["admin_config"], encoding="utf-8") as stream:
            settings = basic_auth.read_ini(stream.read())
        return settings["admin_username"], settings["admin_password"]
    except (OSError, KeyError) as error:
        why = error.strerror if isinstance(error, OSError) else f"it has no {error}"
        raise RefusedError(
            [
                Problem(
                    f"admin_config is {given['admin_config']}, which can't be used: {why}",
                    "a server with accounts lets only an administrator do this",
                    "run this on the server, after the role mlflow_server with mlflow_server_basic_auth, or give "
                    "username and password",
                )
            ]
        ) from None


def access(given: dict[str, Any], check_mode: bool) -> Access:
    """Return how the server is asked.  Raises RefusedError."""
    try:
        username, password = credentials(given)
    except RefusedError:
        if not check_mode:
            raise
        # Not written yet, as far as can be told.
        username, password = "admin", "not known yet"
    return Access(given["tracking_uri"], username, password, given["token"], given["ca_bundle"])
