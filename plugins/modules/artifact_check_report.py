# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact_check_report
short_description: Show what an artifact check has found on all hosts
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Shows one table of all hosts and users of a play, with what was found for each and what to do about it,
    and writes the same as JSON by choice.
  - Reads what the role mlflow_artifact_check has registered; runs on the controller only.
options:
  server:
    description: The server's name in the inventory.
    type: str
    required: true
  artifact_root:
    description: The artifact root that was checked.
    type: str
    required: true
  path:
    description: The file on the controller that the report is written to, as JSON. Empty for none.
    type: str
    default: ""
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - ansible.builtin.action_common_attributes.conn
  - ansible.builtin.action_common_attributes.flow
attributes:
  action:
    support: full
  async:
    support: none
  become:
    support: none
  bypass_host_loop:
    support: none
  check_mode:
    support: full
  connection:
    support: none
  delegation:
    support: none
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
"""

EXAMPLES = r"""
- name: Show what was found
  selfhosted.mlflow.artifact_check_report:
    server: mlflow.example.org
    artifact_root: /mnt/mlflow
    path: artifact-check.json
  run_once: true
"""

RETURN = r"""
table:
  description: The lines of the table.
  returned: always
  type: list
  elements: str
errors:
  description: For each host of the play the errors that it should fail with, none when its paths are proved.
  returned: always
  type: dict
"""
