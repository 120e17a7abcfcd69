# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a virtual environment hold what a lock file lists, with nothing but Python and pip.

    python3 tools/bootstrap.py VENV LOCK [--exact]

uv does the work and is itself installed by pip with a checked hash.  pip may
live outside of the environment: a Debian without python3-venv has no ensurepip.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
UV_LOCK = Path(__file__).resolve().parent.parent / "requirements" / "uv.txt"


class BootstrapError(Exception):
    """Why there can be no environment, and what to do about it."""


def works(command: list[str]) -> bool:
    """Whether ``command`` starts and ends with 0."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def apt_install(package: str, reason: str, *, as_root: bool, has_apt: bool) -> list[str]:
    """Return the command that installs ``package``.

    Raises BootstrapError with the command to type where this process may not run it.
    """
    command = ["apt-get", "install", "--yes", "--no-install-recommends", package]
    if as_root and has_apt:
        return command
    advice = f"run as root: {' '.join(command)}" if has_apt else f"install {package}"
    raise BootstrapError(f"{reason}; {advice}")


def pip_for(python: str, environment_python: Path) -> list[str]:
    """Return a pip command that installs into the environment, installing pip if it must."""
    pip = [python, "-m", "pip", "--python", str(environment_python)]
    if not works([*pip, "--version"]):
        install = apt_install(
            "python3-pip",
            f"{python} has no pip of release 22.3 or newer",
            as_root=os.geteuid() == 0,
            has_apt=shutil.which("apt-get") is not None,
        )
        subprocess.run(["apt-get", "update"], check=True)
        subprocess.run(install, check=True)
    return pip


def bootstrap(environment: Path, lock: Path, *, exact: bool) -> None:
    """Bring ``environment`` to what ``lock`` lists; ``exact`` also removes everything else."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        wanted = ".".join(map(str, OLDEST))
        raise BootstrapError(
            f"{sys.executable} is Python {found}, this needs {wanted} or newer; name one: make PYTHON=python{wanted} …",
        )
    python = environment / "bin" / "python"
    uv = environment / "bin" / "uv"
    if not works([str(python), "-c", ""]):
        # --clear also mends an environment whose interpreter has gone away.
        create = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)]
        subprocess.run(create, check=True)
    if not works([str(uv), "--version"]):
        install = ["install", "--quiet", "--require-hashes", "--requirement", str(UV_LOCK)]
        subprocess.run([*pip_for(sys.executable, python), *install], check=True)
    action = ["sync"] if exact else ["install", "--requirement"]
    options = ["--quiet", "--require-hashes", "--python", str(python)]
    subprocess.run([str(uv), "pip", *action, str(lock), *options], check=True)


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("environment", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--exact", action="store_true", help="remove what the lock does not list")
    options = parser.parse_args(arguments)
    try:
        bootstrap(options.environment, options.lock, exact=options.exact)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
