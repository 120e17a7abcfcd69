# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role refuses to install, and with which Python: the same for server and client library."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import virtualenv
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: The oldest Python that MLflow 3 runs on (its package's Requires-Python).
OLDEST_PYTHON = (3, 10)
_LOCK = re.compile(r"mlflow(?:-skinny)?-(?P<version>[\d.]+\w*)(?:-with-(?P<driver>\w+))?-py(?P<python>\d+\.\d+)\.txt")
#: Run by the interpreter in question: prints its version, and "complete" when it can make virtual environments.
LOOK = "import sys; print('%d.%d' % sys.version_info[:2]); import venv, ensurepip; print('complete')"


@dataclass(frozen=True)
class Install:
    """What is to be installed.

    ``role`` names the inputs, ``requirements`` is the user's own file on the controller or '', ``locks`` are
    the file names of those that ship with the role, ``python_comes`` says that the role installs the
    interpreter itself.  ``driver`` is that of an artifact store, which a lock of its own brings along; '' for none.
    """

    role: str
    version: str = "3.17.2"
    requirements: str = ""
    requirements_exist: bool = True
    locks: tuple[str, ...] = ()
    extra_packages: tuple[str, ...] = ()
    python: str = "/usr/bin/python3"
    python_comes: bool = False
    wheelhouse: str = ""
    keep_releases: int = 2
    driver: str = ""


@dataclass(frozen=True)
class Interpreter:
    """What ``LOOK`` showed: the version, None when it can't be run, and whether virtual environments can be made."""

    version: Optional[tuple[int, int]]
    complete: bool

    def __str__(self) -> str:
        return f"{self.version[0]}.{self.version[1]}" if self.version else ""


def interpreter(output: str, install: Install) -> Interpreter:
    """Read what ``LOOK`` printed; of an interpreter that is yet to come, the path tells the version."""
    found = re.match(r"(\d+)\.(\d+)", output)
    if found is None and install.python_comes:
        found = re.search(r"python(\d+)\.(\d+)$", install.python)
    version = (int(found.group(1)), int(found.group(2))) if found else None
    return Interpreter(version, "complete" in output)


def look(run_command: Callable[[list[str]], tuple[int, str, str]], install: Install) -> Interpreter:
    """Ask the interpreter on this host; ``run_command`` runs one and returns its status and output."""
    output = run_command([install.python, "-I", "-c", LOOK])[1] if os.access(install.python, os.X_OK) else ""
    return interpreter(output, install)


def _python(install: Install, python: Interpreter) -> Iterator[Problem]:
    if python.version is None and not install.python_comes:
        yield Problem(
            f"{install.role}_python is {install.python}, and it can't be run as a Python",
            "MLflow is installed with it",
            f"install it, or leave {install.role}_python out to use the operating system's",
        )
    elif python.version is not None and python.version < OLDEST_PYTHON:
        yield Problem(
            f"{install.python} is Python {python}",
            "MLflow 3 needs Python 3.10 or newer",
            f"install a newer Python and name it in {install.role}_python, such as /usr/bin/python3.11",
        )


def _lock(install: Install, python: Interpreter) -> Iterator[Problem]:
    if install.requirements:
        if not install.requirements_exist:
            yield Problem(
                f"{install.role}_requirements is {install.requirements}, and the controller has no such file",
                "it is what would be installed",
                "write the path of a hash-locked requirements file on the machine that runs Ansible",
            )
        return
    if python.version is None or python.version < OLDEST_PYTHON:
        return
    locked: dict[str, list[str]] = {}
    for match in map(_LOCK.fullmatch, install.locks):
        if match and (match["driver"] or "") == install.driver:
            locked.setdefault(match["version"], []).append(match["python"])
    pythons = locked.get(install.version, [])
    if str(python) not in pythons:
        known = sorted(locked, key=lambda text: [int(part) for part in re.findall(r"\d+", text)], reverse=True)
        store = f" with the driver of {install.driver}" if install.driver else ""
        yield Problem(
            f"{install.role}_version is {install.version}, to be installed{store} on Python {python}",
            "no lock for the two ships with the role"
            + (f" (for Python {', '.join(pythons)} there is one)" if pythons else "")
            + ", and without one today's dependencies can break the release",
            f"use one of {', '.join(known)}, or give a locked file of your own in {install.role}_requirements",
        )


def problems(install: Install, python: Interpreter, wheelhouse_exists: bool) -> Iterator[Problem]:
    """Yield why this can't be installed on this host."""
    yield from _python(install, python)
    yield from _lock(install, python)
    for package in install.extra_packages:
        if not virtualenv.is_pin(package):
            yield Problem(
                f"{install.role}_extra_packages has {package!r}",
                "without an exact version the same inventory would install something else next month",
                "write NAME==VERSION, such as boto3==1.40.1",
            )
    if install.wheelhouse and not wheelhouse_exists:
        yield Problem(
            f"{install.role}_wheelhouse is {install.wheelhouse}, and this host has no such directory",
            "all packages would be installed from there",
            "copy the wheels to that path first, and write it as an absolute path",
        )
    if install.keep_releases < 0:
        yield Problem(f"{install.role}_keep_releases is {install.keep_releases}", "it is a number", "write 0 or more")
