# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where modules find the administrator; administrator.ADMINISTRATOR holds the same for the modules' code."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``selfhosted.mlflow.administrator``."""

    DOCUMENTATION = r"""
options:
  admin_config:
    description:
      - File on this host that O(username) and O(password) are taken from when they are empty - the server's own
        C(basic_auth.ini), so that a password that was made there needs not leave it.
    type: path
"""
