#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_marker
short_description: Say at an artifact root whose artifacts these are
version_added: 1.0.0
description:
  - Writes the file C(.mlflow-deployment) with a deployment's id into an artifact root, once. By it, whoever looks at the
    root later can tell the right share from another one, an empty disk and a local directory.
  - A marker that is there is never overwritten.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  path:
    description: Absolute path of the artifact root.
    type: path
    required: true
  deployment:
    description:
      - The deployment's id, 1 to 64 letters, digits and C(. _ -). When empty, the one that the marker holds is taken, or
        a new one is made.
    type: str
    default: ""
  user:
    description: Who writes and reads the marker. Root is nobody to most NFS servers.
    type: str
    required: true
  timeout:
    description: Seconds to wait for the file system.
    type: float
    default: 20
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Where the root or the user isn't there yet, a run would write the marker.
  diff_mode:
    support: none
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Mark the share
  selfhosted.mlflow.deployment_marker:
    path: /mnt/mlflow
    user: mlflow
  register: marker
"""

RETURN = r"""
deployment:
  description: The id that the marker holds. Empty in check mode, when a run would make one.
  returned: success
  type: str
  sample: 3f1c9a1e0d9b4f0f8f5ad1a2b7c4e6d8
on_network:
  description: Whether the root lies on a file system of the network. In check mode, as the host is before the run.
  returned: success
  type: bool
"""

import os
import pwd

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded, deployment_marker, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity, NoAnswerError


def _identity(user: str) -> Identity:
    """Return the account's ids and groups.  Raises KeyError when there is no such user."""
    account = pwd.getpwnam(user)
    return Identity(account.pw_uid, account.pw_gid, tuple(os.getgrouplist(user, account.pw_gid)))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "deployment": {"type": "str", "default": ""},
            "user": {"type": "str", "required": True},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    path, wished = module.params["path"], module.params["deployment"]
    if not os.path.isabs(path):
        module.fail_json(msg=f"path is {path!r}, which depends on who reads it. Write it from the root directory on.")

    def work() -> list[object]:
        marker = deployment_marker.ensure(path, wished, write=not module.check_mode)
        return [marker.deployment, marker.written]

    deployment, written = wished, True
    try:
        deployment_marker.check(wished)
        identity = _identity(module.params["user"])
        deployment, written = bounded.run(work, module.params["timeout"], identity if os.geteuid() == 0 else None)
    except KeyError:
        if not module.check_mode:
            module.fail_json(msg=f"There is no user {module.params['user']} here.")
    except NoAnswerError as error:
        module.fail_json(msg=f"The file system of {path} is silent: {error}. Look at its server and at the network.")
    except FileNotFoundError:
        if not module.check_mode:
            module.fail_json(msg=f"{path} does not exist here.")
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"{error}.")
    mount = mountinfo.covering(mountinfo.read(), path)
    module.exit_json(changed=written, deployment=deployment, on_network=mount is not None and mount.is_network)


if __name__ == "__main__":
    main()
