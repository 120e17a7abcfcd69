# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether MLflow would take a password, told without the password.

Source: MLflow's mlflow/utils/validation.py, _validate_password, and mlflow/server/auth/__init__.py; configparser, which
takes the blanks off a value's ends.
"""

from __future__ import annotations

from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.basic_auth import KNOWN_TO_ALL, SHORTEST_PASSWORD
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

NONE, FINE, DEFAULT, NO_TEXT, SHORT, ODD = KINDS = ("none", "fine", "default", "no_text", "short", "odd")
_INSTEAD = f"write {SHORTEST_PASSWORD} characters or more between quotes, without line breaks or blanks at the ends"
_WRONG = {
    DEFAULT: ("is the one that old releases of MLflow had for everybody", "anybody may know it"),
    NO_TEXT: ("is not a text", "YAML reads digits without quotes as a number, and may change them"),
    SHORT: (f"has fewer than {SHORTEST_PASSWORD} characters", "MLflow takes none that is shorter"),
    ODD: ("has blanks at its ends, or control characters", "the files that hold it can't"),
}


def kind(value: Any) -> str:
    """Return which of KINDS a password is; NONE is an empty one."""
    if not isinstance(value, str):
        return NONE if value is None else NO_TEXT
    if not value:
        return NONE
    if value == KNOWN_TO_ALL:
        return DEFAULT
    if value != value.strip() or any(not character.isprintable() for character in value):
        return ODD
    return SHORT if len(value) < SHORTEST_PASSWORD else FINE


def problem(name: str, found: str) -> Optional[Problem]:
    """Return what is wrong with the password in the input ``name`` that is of the kind ``found``."""
    if found not in _WRONG:
        return None
    what, why = _WRONG[found]
    return Problem(f"{name} {what}", why, _INSTEAD)
