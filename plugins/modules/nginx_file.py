#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_file
short_description: Write a file of nginx's once the whole configuration is right with it
version_added: 1.0.0
description:
  - Tests with C(nginx -t) what the whole configuration would be, with the new file read from elsewhere, and puts it in
    place only then. A running nginx never finds a configuration that it can't load.
  - nginx is not reloaded.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  path:
    description: The file. nginx's main file must include it.
    type: path
    default: /etc/nginx/conf.d/mlflow.conf
  content:
    description: Its text.
    type: str
    required: true
  main:
    description: nginx's main file.
    type: path
    default: /etc/nginx/nginx.conf
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: Tests the configuration as well, where nginx is installed.
  diff_mode:
    support: full
  platform:
    platforms: posix
"""

EXAMPLES = r"""
- name: Configure | Tell nginx what to pass on
  selfhosted.mlflow.nginx_file:
    content: "{{ lookup('ansible.builtin.template', 'mlflow.conf.j2') }}"
  notify: Reload nginx
"""

RETURN = r"""
path:
  description: The file's path.
  returned: success
  type: str
  sample: /etc/nginx/conf.d/mlflow.conf
"""

import glob
import os
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nginx_config


def read(path: str) -> str:
    """Return a file's text, ``''`` when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def complaint(module: AnsibleModule, nginx: str, params: dict[str, Any]) -> str:
    """Return what nginx says of the configuration as it would be, ``''`` when it is right."""
    directory = os.path.dirname(params["main"])
    with tempfile.TemporaryDirectory() as scratch:
        candidate = os.path.join(scratch, "candidate.conf")
        with open(candidate, "w", encoding="utf-8") as stream:
            stream.write(params["content"])
        text = nginx_config.with_candidate(read(params["main"]), directory, params["path"], candidate, glob.glob)
        # Beside the main file, for relative includes begin there.
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".mlflow-test-", errors="surrogateescape") as main:
            main.write(text)
            main.flush()
            code, _out, err = module.run_command([nginx, "-t", "-q", "-c", main.name])
            return err.replace(candidate, params["path"]).replace(main.name, params["main"]) if code else ""


def write(path: str, text: str) -> None:
    """Replace a file in one step."""
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(descriptor, 0o644)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main() -> None:
    """Compare, test, write."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": nginx_config.OURS},
            "content": {"type": "str", "required": True},
            "main": {"type": "path", "default": nginx_config.MAIN},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    path, text = params["path"], params["content"]
    nginx = module.get_bin_path("nginx", opt_dirs=["/usr/sbin"])
    try:
        before = read(path)
        changed = before != text
        if changed and not (module.check_mode and nginx is None):
            if nginx is None:
                raise OSError("nginx is not installed")
            wrong = complaint(module, nginx, params)
            if wrong:
                module.fail_json(msg=f"nginx would refuse this configuration, so that nothing was changed:\n{wrong}")
        if changed and not module.check_mode:
            write(path, text)
    except nginx_config.NotIncludedError:
        module.fail_json(msg=f"{params['main']} includes no {path}: write `include {os.path.dirname(path)}/*.conf;`")
    except OSError as error:
        module.fail_json(msg=f"could not write {path}: {error}")
    diff = {"before": before, "after": text, "before_header": path, "after_header": path}
    module.exit_json(changed=changed, path=path, diff=diff)


if __name__ == "__main__":
    main()
