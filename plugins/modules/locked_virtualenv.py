#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: locked_virtualenv
short_description: Install hash-locked packages into release directories
version_added: 1.0.0
description:
  - Builds a Python virtual environment from a requirements file in which every package has its
    version and its hashes, and switches a symbolic link to it in one atomic step.
  - Each environment is a release directory C(ROOT/venvs/NAME-HASH), where the hash covers the
    requirements, the extra packages, the interpreter and the installer. The link C(ROOT/current)
    names the one in use. An existing release is used again, never changed.
  - A release is finished only when its packages are on the disk and have been checked.
    An install that is interrupted at any moment leaves the old C(ROOT/current) working; the next run
    removes what it left and starts again.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  root:
    description:
      - Absolute path of the directory that holds the releases. It is created when absent.
      - One root has one current release, so give each application its own.
    type: path
    required: true
  name:
    description: What the release directories' names begin with, such as V(mlflow-3.17.2).
    type: str
    required: true
  requirements:
    description:
      - The text of a requirements file in which every line is C(name==version) with at least one
        C(--hash=sha256:…), all dependencies included, as C(uv pip compile --generate-hashes) writes it.
      - It is kept out of the logs for its length, and in the release directory as C(requirements.txt).
    type: str
    required: true
  extra_packages:
    description:
      - Exact pins such as V(boto3==1.40.1) to install besides, with their dependencies.
      - These are B(not) checked against hashes. Locked packages keep their locked versions; an extra
        package that needs another version makes the install fail.
      - Where hashes matter, put the packages into O(requirements) instead.
    type: list
    elements: str
    default: []
  python:
    description: Absolute path of the interpreter to build from. It needs the modules venv and ensurepip.
    type: path
    default: /usr/bin/python3
  installer:
    description:
      - V(uv) installs in a few seconds and compiles bytecode in parallel.
      - V(pip) needs nothing but Python itself.
    type: str
    choices: [uv, pip]
    default: uv
  uv_requirements:
    description:
      - The text of a hash-locked requirements file that holds uv, installed below C(ROOT/tools).
      - Needed for O(installer=uv) without O(uv_executable).
    type: str
  uv_executable:
    description: Absolute path of a uv that is already on the host, used instead of O(uv_requirements).
    type: path
  wheelhouse:
    description:
      - Absolute path of a directory with all wheels, those of uv included. No index is asked then.
    type: path
  index_url:
    description:
      - Address of the package index to use instead of the host's configured one.
      - It may hold a user and password. It is passed on in the environment of the installer only.
    type: str
  imports:
    description: Modules that a new release must be able to import before it is switched to.
    type: list
    elements: str
    default: []
  bytecode:
    description:
      - What to compile beforehand, since users without write access would compile it again at every start.
      - V(all) is every file of every package, which takes longer than the install itself.
      - V(imported) is what O(imports) loads, enough for a service that imports nothing else.
    type: str
    choices: [all, imported]
    default: all
  activate:
    description:
      - Whether to switch C(ROOT/current) to the release. With V(false) it is only built beside the one in use,
        for M(selfhosted.mlflow.server_upgrade) to switch to.
    type: bool
    default: true
  keep_releases:
    description:
      - How many old releases to keep besides the current one, the last used ones.
      - A release that a process still runs from, or that an unfinished upgrade needs, is kept as well.
    type: int
    default: 2
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  platform:
    platforms: posix
    details: Linux only.
notes:
  - Proxies, certificates and the settings of pip and uv are taken from the environment and the
    configuration files of the user the module runs as.
seealso:
  - module: ansible.builtin.pip
"""

EXAMPLES = r"""
- name: Install | Create the virtual environment
  selfhosted.mlflow.locked_virtualenv:
    root: /opt/mlflow
    name: mlflow-3.17.2
    requirements: "{{ lookup('ansible.builtin.file', 'locks/mlflow-3.17.2-py3.11.txt') }}"
    uv_requirements: "{{ lookup('ansible.builtin.file', 'locks/uv.txt') }}"
    imports: [mlflow.cli, mlflow.server.fastapi_app]
    bytecode: imported
  notify: Restart mlflow

- name: Install | Create the virtual environment without a network
  selfhosted.mlflow.locked_virtualenv:
    root: /opt/mlflow
    name: mlflow-3.17.2
    requirements: "{{ lookup('ansible.builtin.file', 'my-requirements.txt') }}"
    extra_packages:
      - boto3==1.40.1
    installer: pip
    wheelhouse: /srv/wheels
"""

RETURN = r"""
release:
  description: Name of the release; the current one unless O(activate=false).
  returned: success
  type: str
  sample: mlflow-3.17.2-0123456789ab
path:
  description: Directory of the release.
  returned: success
  type: str
  sample: /opt/mlflow/venvs/mlflow-3.17.2-0123456789ab
previous:
  description: Name of the release that was current before, or V(none) on the first install.
  returned: success
  type: str
  sample: mlflow-3.1.4-ba9876543210
built:
  description: Whether the release had to be built; otherwise it was there already.
  returned: success
  type: bool
removed:
  description: Names of the old or unfinished releases that were removed.
  returned: success
  type: list
  elements: str
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, virtualenv
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
LOCK_PATIENCE = 600.0
ERROR_LENGTH = 4000


class Installer:
    """Carries out a plan on the host."""

    def __init__(self, module: AnsibleModule, layout: releases.Layout, recipe: virtualenv.Recipe) -> None:
        self.module = module
        self.layout = layout
        self.recipe = recipe
        self.sources = virtualenv.Sources(module.params["wheelhouse"] or "", module.params["index_url"] or "")
        bundle = next((path for path in CA_BUNDLES if os.path.exists(path)), "")
        self.environment = virtualenv.environment(os.environ, self.sources, layout.cache, bundle)
        self.lock_descriptor = -1

    def lock(self) -> None:
        """Wait for the only right to install below the root.

        Installers inherit the lock: one that outlives its killed Ansible run is waited
        for, so that it can't write into what this run builds.
        """
        os.makedirs(self.layout.venvs, exist_ok=True)
        self.lock_descriptor = os.open(self.layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_PATIENCE
        while not try_lock(self.lock_descriptor):
            if time.monotonic() > deadline:
                raise OSError(f"another install holds {self.layout.lock} for {LOCK_PATIENCE:.0f} s")
            time.sleep(0.5)

    def run(self, command: virtualenv.Command) -> None:
        """Run one command, or fail with the end of what it said."""
        code, output, errors = self.module.run_command(
            list(command.argv),
            environ_update=self.environment,
            pass_fds=[self.lock_descriptor],
            cwd=self.layout.root,
        )
        if code not in command.accepted:
            said = (errors.strip() or output.strip())[-ERROR_LENGTH:]
            raise ChildProcessError(f"could not {command.purpose} (exit code {code}): {said}")

    def uv(self) -> str:
        """Return the path of uv, installed first where it isn't there."""
        if self.recipe.installer != "uv":
            return ""
        if self.module.params["uv_executable"]:
            return str(self.module.params["uv_executable"])
        lock = self.module.params["uv_requirements"]
        version = virtualenv.pins(lock)["uv"]
        home = f"{self.layout.tools}/uv-{version}-{hashlib.sha256(lock.encode()).hexdigest()[:12]}"
        if not os.path.exists(f"{home}/bin/uv"):
            temporary = f"{home}.new"
            shutil.rmtree(temporary, ignore_errors=True)
            os.makedirs(temporary)
            requirements = f"{temporary}/requirements.txt"
            write(requirements, lock)
            self.run(virtualenv.bootstrap_uv(self.recipe.python, self.sources, requirements, temporary))
            releases.flush(temporary)
            os.rename(temporary, home)
        return f"{home}/bin/uv"

    def build(self) -> None:
        """Build the recipe's release and mark it complete."""
        directory = self.layout.release(self.recipe.release)
        # A power cut leaves downloads behind that look whole and are not.
        self.remove(directory, self.layout.cache)
        try:
            uv = self.uv()
            self.run(virtualenv.create(self.recipe, directory, uv))
            write(f"{directory}/requirements.txt", self.recipe.requirements)
            write(f"{directory}/constraints.txt", virtualenv.constraints(self.recipe.requirements))
            for command in (
                *virtualenv.fill(self.recipe, directory, uv, self.sources, self.module.params["bytecode"] == "all"),
                *virtualenv.verify(self.recipe, directory, uv, self.module.params["imports"]),
            ):
                self.run(command)
            with contextlib.suppress(FileNotFoundError):
                # uv's lock, which anybody could write.
                os.unlink(f"{directory}/.lock")
        except OSError:
            self.remove(directory, self.layout.cache)
            raise
        manifest = {key: value for key, value in asdict(self.recipe).items() if key != "requirements"}
        releases.finish(self.layout, self.recipe.release, manifest)
        self.remove(self.layout.cache)

    def remove(self, *directories: str) -> None:
        """Remove directories that may be there."""
        for directory in directories:
            shutil.rmtree(directory, ignore_errors=True)

    def carry_out(self, plan: releases.Plan) -> None:
        """Bring the host to what the plan wants; the new release works before an old one goes."""
        if plan.build:
            self.build()
        if plan.switch:
            releases.activate(self.layout, plan.release)
        for name in plan.remove:
            shutil.rmtree(self.layout.release(name))


def try_lock(descriptor: int) -> bool:
    """Lock an open file unless another process has it locked, and return whether it is ours."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write(path: str, text: str) -> None:
    """Write a file that only root may read: an address in it may hold a password."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def make_plan(layout: releases.Layout, release: str, keep: int, activate: bool) -> tuple[releases.State, releases.Plan]:
    """Return what is on the host and what to do about it."""
    state = releases.scan(layout)
    plan = releases.plan(state, release, keep, activate=activate)
    if plan.remove:
        plan = releases.plan(state, release, keep, releases.running_from(layout), activate)
    return state, plan


def main() -> None:
    """Parse, plan, carry out, exit."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            # No secret, but some 30 kB that would fill the host's journal at every run.
            "requirements": {"type": "str", "required": True, "no_log": True},
            "extra_packages": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path", "default": "/usr/bin/python3"},
            "installer": {"type": "str", "choices": ["uv", "pip"], "default": "uv"},
            "uv_requirements": {"type": "str"},
            "uv_executable": {"type": "path"},
            "wheelhouse": {"type": "path"},
            "index_url": {"type": "str", "no_log": True},
            "imports": {"type": "list", "elements": "str", "default": []},
            "bytecode": {"type": "str", "choices": ["all", "imported"], "default": "all"},
            "activate": {"type": "bool", "default": True},
            "keep_releases": {"type": "int", "default": 2},
        },
        required_if=[("installer", "uv", ("uv_requirements", "uv_executable"), True)],
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    try:
        recipe = virtualenv.Recipe(
            name=params["name"],
            requirements=params["requirements"],
            extra_packages=tuple(params["extra_packages"]),
            python=os.path.realpath(params["python"]),
            installer=params["installer"],
        )
    except ValueError as error:
        module.fail_json(msg=str(error))
    layout = releases.Layout(params["root"].rstrip("/"))
    state, plan = make_plan(layout, recipe.release, params["keep_releases"], params["activate"])
    if plan.changed and not module.check_mode:
        # The service's own account must be able to read what root installs.
        os.umask(0o022)
        installer = Installer(module, layout, recipe)
        try:
            if plan.build and not os.access(recipe.python, os.X_OK):
                raise ChildProcessError(
                    str(
                        Problem(
                            found=f"there is no program {params['python']}",
                            why="the virtual environment is built from it",
                            instead="install that Python, or name another one in the option python",
                        ),
                    ),
                )
            installer.lock()
            state, plan = make_plan(layout, recipe.release, params["keep_releases"], params["activate"])
            installer.carry_out(plan)
        except OSError as error:
            module.fail_json(msg=f"{layout.current} is unchanged: {error}" if plan.switch else str(error))
    after = {*state.complete, plan.release} - set(plan.remove)
    module.exit_json(
        changed=plan.changed,
        release=plan.release,
        path=layout.release(plan.release),
        previous=state.current,
        built=plan.build,
        removed=list(plan.remove),
        diff={
            "before": releases.describe(state.current, (*state.complete, *state.unfinished)),
            "after": releases.describe(plan.release if plan.switch else state.current, sorted(after)),
            "before_header": layout.root,
            "after_header": layout.root,
        },
    )


if __name__ == "__main__":
    main()
