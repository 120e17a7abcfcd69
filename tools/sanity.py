# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity on a copy of the collection, without ignores.

    python -m tools.sanity VENV [TARGET_PYTHON ...]

VENV holds the ansible-core to test with.  For each TARGET_PYTHON ("3.9") that is
installed, what is sent to hosts is also compiled and imported by it.

ansible-test fetches get-pip from an address of its own, which a closed network
does not reach although it has a package index.  Where it has not been fetched yet,
a stand-in is laid into ansible-test's cache, with a pip of the same release.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import pythons, stage

CACHE = Path("~/.ansible/test/cache").expanduser()
STAND_IN = '''"""Installs pip {version} from the wheel next to this file, where get-pip would download it."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "{wheel}"))

from pip._internal.cli.main import main

arguments = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(main(["install", "--no-index", "--find-links", HERE, *arguments]))
'''
PIP_VERSION = """
from types import SimpleNamespace
from ansible_test._internal.python_requirements import get_venv_packages
print(get_venv_packages(SimpleNamespace(version="{python}"))["pip"])
"""


def lay_stand_in(python: Path, version: str, cache: Path = CACHE) -> None:
    """Put a stand-in for get-pip ``version`` into ansible-test's cache, unless one is there."""
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    download = [str(python), "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    locked = stage.REPOSITORY / "requirements" / f"pip-{version}.txt"
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        wanted = ["--require-hashes", "--requirement", str(locked)]
        subprocess.run([*download, "--dest", scratch, *wanted], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        wheel.replace(cache / wheel.name)
        text = STAND_IN.format(version=version, wheel=wheel.name)
        unfinished = Path(scratch, script.name)
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(script)


def search_path(first: Path, inherited: str) -> str:
    """Return a PATH that starts with ``first`` and has no version manager's shims.

    A shim looks like a Python to ansible-test and then refuses to be one.
    """
    kept = (entry for entry in inherited.split(os.pathsep) if not entry.rstrip("/").endswith("shims"))
    return os.pathsep.join([str(first), *kept])


def run(command: list[str], directory: Path, environment: dict[str, str]) -> int:
    """Run ansible-test, show what it prints, and return its exit code, or 1 if it tested nothing."""
    tested = True
    with subprocess.Popen(
        command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            tested = tested and "All targets skipped" not in line
    return process.returncode if tested else 1


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    if not arguments:
        print("usage: python -m tools.sanity VENV [TARGET_PYTHON ...]", file=sys.stderr)
        return 2
    binaries = Path(arguments[0]).absolute() / "bin"
    python = binaries / "python"
    own = pythons.version_of(python)
    if own is None:
        print(f"sanity: {python} does not run; make venv", file=sys.stderr)
        return 1
    script = PIP_VERSION.format(python=own)
    version = subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True)
    lay_stand_in(python, version.stdout.strip())
    sanity = [str(binaries / "ansible-test"), "sanity", "--color", "no", "--python"]
    runs = [(binaries, [*sanity, own])]
    for wanted in arguments[1:]:
        target = pythons.find(wanted)
        if target is None:
            print(f"sanity: no Python {wanted} here, so nothing is compiled and imported by it")
        else:
            runs.append((target.parent, [*sanity, wanted, "--test", "compile", "--test", "import"]))
    codes = []
    with tempfile.TemporaryDirectory(dir=stage.COPIED.parent) as scratch:
        copied = stage.copy(collections=Path(scratch))
        for directory, command in runs:
            environment = {**os.environ, "PATH": search_path(directory, os.environ["PATH"])}
            codes.append(run(command, copied, environment))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
