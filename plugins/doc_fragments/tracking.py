# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach the REST API; tracking_api.ARGUMENTS holds the same for the modules' code."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``selfhosted.mlflow.tracking``."""

    DOCUMENTATION = r"""
options:
  tracking_uri:
    description: The server's address as clients are told, with its static prefix and without credentials.
    type: str
    required: true
  username:
    description:
      - Account of an administrator of MLflow, where it asks for one. No other user of the host gets to see it.
    type: str
    default: ""
  password:
    description: Password of O(username).
    type: str
    default: ""
  token:
    description: A bearer token, instead of O(username) and O(password).
    type: str
    default: ""
  ca_bundle:
    description: File of CA certificates on this host. Empty means the system's.
    type: str
    default: ""
"""
