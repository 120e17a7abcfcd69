# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two files that MLflow's basic authentication is configured by, and what of them may be shown.

``basic_auth.ini`` is what MLFLOW_AUTH_CONFIG_PATH names.  ``basic_auth.env`` holds the key that signs sessions, which
MLflow takes from its environment only.

Source: MLflow's mlflow/server/auth/config.py and basic_auth.ini; configparser's "Interpolation of values".
"""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment

SECTION = "mlflow"
KEY = "MLFLOW_FLASK_SERVER_SECRET_KEY"
#: What releases before 3.17 made the administrator with, when nobody said otherwise.
KNOWN_TO_ALL = "password1234"
#: MLflow's mlflow/utils/validation.py, _validate_password.
SHORTEST_PASSWORD = 12
_SECRET = ("admin_password", "database_uri")


@dataclass(frozen=True)
class Wished:
    """How accounts are to be kept.  An empty password or key is the one that is there, else a new one."""

    admin_username: str
    default_permission: str
    database_uri: str = field(repr=False)
    admin_password: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Files:
    """The texts of both files; '' for one that isn't there."""

    ini: str = field(default="", repr=False)
    env: str = field(default="", repr=False)


def read_ini(text: str) -> dict[str, str]:
    """Return MLflow's settings as MLflow reads them, {} where it could not read them."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
        return dict(parser[SECTION])
    except (configparser.Error, KeyError):
        return {}


def _render_ini(values: Mapping[str, str], comment: str) -> str:
    doubled = {name: value.replace("%", "%%") for name, value in values.items()}
    lines = [f"# {comment}", f"[{SECTION}]", *(f"{name} = {value}" for name, value in doubled.items())]
    return "\n".join(lines) + "\n"


def plan(wished: Wished, present: Files, generate: Callable[[], str], comment: str) -> Files:
    """Return the files as they are to be; ``generate`` returns a new secret.

    A password that is there is kept, but for MLflow's old default and one that MLflow would not take.
    """
    kept = read_ini(present.ini).get("admin_password", "")
    if kept == KNOWN_TO_ALL or len(kept) < SHORTEST_PASSWORD:
        kept = ""
    settings = {
        "default_permission": wished.default_permission,
        "database_uri": wished.database_uri,
        "admin_username": wished.admin_username,
        "admin_password": wished.admin_password or kept or generate(),
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    key = wished.secret_key or environment.parse(present.env).get(KEY, "") or generate()
    return Files(_render_ini(settings, comment), environment.render({KEY: key}, comment))


def shown(files: Files, other: Files) -> str:
    """Return both files for a diff: of secrets only whether they differ from those of ``other``."""
    mine, theirs = read_ini(files.ini), read_ini(other.ini)
    mine[KEY] = environment.parse(files.env).get(KEY, "")
    theirs[KEY] = environment.parse(other.env).get(KEY, "")
    lines = []
    for name, value in mine.items():
        if not value:
            continue
        if name not in (*_SECRET, KEY):
            lines.append(f"{name} = {value}")
        else:
            lines.append(f"{name} = ({'hidden' if theirs.get(name) in (value, None, '') else 'hidden, changed'})")
    return "".join(f"{line}\n" for line in lines)
