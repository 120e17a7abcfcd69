#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: program_files
short_description: Have the programs of a role on a host, all files at once
version_added: 1.0.0
description:
  - Writes the files that differ below one directory, each in one step, owned by root. M(ansible.builtin.copy) asks the
    host several times for each file.
  - A file that begins with C(#!) can be run by everybody, the others can be read.
  - Other files in the directory are left alone.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  directory:
    description: Absolute path of the directory. It is made where it is absent, with those above it.
    type: path
    required: true
  files:
    description: The files' texts by their paths below O(directory).
    type: dict
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
    support: full
"""

EXAMPLES = r"""
- name: Have a program of two files
  selfhosted.mlflow.program_files:
    directory: /opt/mlflow/libexec
    files: "{{ dict(names | zip(query('ansible.builtin.file', *names, rstrip=false))) }}"
  vars:
    names: [mlflow-ready, mlflow-database/__main__.py]
"""

RETURN = r"""
files:
  description: The paths of the files that were, or would be, written.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import program_files


def main() -> None:
    module = AnsibleModule(
        argument_spec={"directory": {"type": "path", "required": True}, "files": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    directory = module.params["directory"]
    if not os.path.isabs(directory):
        module.fail_json(msg=f"directory is {directory!r}, which isn't absolute: write a path that begins with /")
    changed, diff = [], []
    try:
        for name, file in program_files.wanted(module.params["files"]).items():
            path = os.path.join(directory, name)
            before = program_files.read(path)
            if before == file:
                continue
            changed.append(path)
            diff.append(
                {
                    "before_header": path,
                    "after_header": path,
                    "before": before.text if before else "",
                    "after": file.text,
                }
            )
            if not module.check_mode:
                program_files.replace(path, file)
    except ValueError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"could not have all files below {directory}: {error}")
    module.exit_json(changed=bool(changed), files=changed, diff=diff)


if __name__ == "__main__":
    main()
