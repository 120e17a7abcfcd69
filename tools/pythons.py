# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the Python interpreters that really run on this machine.

    python -m tools.pythons 3.12 3.14     print the newest one of that range

A command in PATH may be a version manager's shim for a Python that is not active,
so that each is run, and those that pyenv and uv keep are looked at too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_MINOR = re.compile(r"3\.\d+")


def _number(version: str) -> int:
    return int(version.partition(".")[2])


def version_of(python: Path) -> str | None:
    """Return the release series of an interpreter ("3.11"), or None if it doesn't run."""
    script = "import ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        # A shim takes its directory's settings: none are in the root.
        done = subprocess.run([str(python), "-c", script], capture_output=True, text=True, check=False, cwd="/")
    except OSError:
        return None
    printed = done.stdout.strip()
    return printed if done.returncode == 0 and _MINOR.fullmatch(printed) else None


def candidates(version: str) -> Iterator[Path]:
    """Yield where an interpreter of the series may be, version managers' own first."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"), "versions")
    uv = Path(os.environ.get("XDG_DATA_HOME", home / ".local" / "share"), "uv", "python")
    for pattern in (f"{version}.*/bin", f"cpython-{version}.*/bin"):
        for root in (pyenv, uv):
            yield from (path / f"python{version}" for path in sorted(root.glob(pattern), reverse=True))
    yield from (Path(entry, f"python{version}") for entry in os.get_exec_path())


def find(version: str) -> Path | None:
    """Return an interpreter of the series ``version`` ("3.9") that runs, or None."""
    return next((path for path in candidates(version) if path.exists() and version_of(path) == version), None)


def newest(first: str, last: str) -> Path | None:
    """Return an interpreter of the newest series from ``first`` to ``last``, or None."""
    wanted = (f"3.{minor}" for minor in range(_number(last), _number(first) - 1, -1))
    return next((path for path in map(find, wanted) if path is not None), None)


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    if len(arguments) != len(("OLDEST", "NEWEST")) or not all(map(_MINOR.fullmatch, arguments)):
        print("usage: python -m tools.pythons OLDEST NEWEST", file=sys.stderr)
        return 2
    found = newest(*arguments)
    if found is None:
        return 1
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
