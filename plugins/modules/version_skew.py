#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: version_skew
short_description: Judge whether a client's release of MLflow goes with the server's
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Asks the server for its release, for which no account is needed, and compares it with the client's.
  - Fails where the client is of a newer major release, which is not meant to be used with an older server. Warns where
    the client is of an older major release, or of a newer minor one. Changes nothing.
options:
  tracking_uri:
    description: The server's address as clients are told, with its static prefix and without credentials.
    type: str
    required: true
  ca_bundle:
    description: File of CA certificates on this host. Empty means the system's.
    type: str
    default: ""
  client:
    description: Release of the client.
    type: str
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    support: full
"""

EXAMPLES = r"""
- name: Compare the client with the server
  selfhosted.mlflow.version_skew:
    tracking_uri: http://mlflow.example.org:5000
    client: 3.17.2
"""

RETURN = r"""
server:
  description: The server's release.
  returned: success
  type: str
  sample: 3.17.2
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import version_skew
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError


def main() -> None:
    """Ask, judge, tell."""
    module = AnsibleModule(
        argument_spec={
            "tracking_uri": {"type": "str", "required": True},
            "ca_bundle": {"type": "str", "default": ""},
            "client": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    access = Access(module.params["tracking_uri"], ca_bundle=module.params["ca_bundle"])
    if access.problem():
        module.fail_json(msg=access.problem())
    try:
        server = TrackingApi(access).version()
        skew = version_skew.judge(module.params["client"], server)
    except ApiError as error:
        module.fail_json(msg=f"found: {error}.\n    instead: {error.remedy}.")
    except ValueError as error:
        module.fail_json(msg=f"{access.uri} does not say its release as MLflow does: {error}")
    if skew.refused:
        module.fail_json(msg=skew.problem, server=server)
    if skew.problem:
        module.warn(skew.problem)
    module.exit_json(changed=False, server=server)


if __name__ == "__main__":
    main()
