# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the hash-locked requirements that the roles ship.

Every ``roles/*/files/locks/NAME.in`` becomes ``NAME-py3.X.txt`` for each supported
Python, resolved by uv for Linux and written without index addresses or comments:

    python -m tools.locks [NAME.in ...]

A lock holds only the hashes of what its Python can install on Linux (x86_64 and
aarch64), so it stays readable and any other file is refused.

``NAME-with-STORE.in`` is NAME with the driver of an artifact store, and its locks pin
what those of NAME do: the driver moves no other package.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: uv's wheel holds a program and no Python code, so that one lock serves all.
ANY_PYTHON = frozenset({"uv.in"})
HEADER = "# Locked by `make locks` from {source}, for Linux and {python}.\n"
#: glibc 2.28 is the oldest that a supported distribution has (RHEL 8).
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")


def sources(names: list[str]) -> Iterator[Path]:
    """Yield the requirement inputs of all roles, or those with the given file names; first those that others keep to."""
    inputs = REPOSITORY.glob("roles/*/files/locks/*.in")
    for path in sorted(inputs, key=lambda path: ("-with-" in path.name, path)):
        if not names or path.name in names:
            yield path


def base_of(source: Path, python: str) -> Path | None:
    """Return the lock whose pins a requirements input is to keep, None for one that stands alone."""
    base, with_driver, _store = source.stem.partition("-with-")
    return source.with_name(f"{base}-py{python}.txt") if with_driver else None


def resolve(source: Path, python: str, platform: str) -> dict[str, Any]:
    """Return uv's resolution (PEP 751) of a requirements input for one environment.

    It lists only the wheels that fit there.  Raises subprocess.CalledProcessError when
    there is no resolution.
    """
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "pylock.toml")
        options = ["--python-version", python, "--python-platform", platform]
        base = base_of(source, python)
        if base:
            # Of the hashes, which would be asked of the driver's packages too, only the pins.
            constraints = Path(scratch, "constraints.txt")
            constraints.write_text("\n".join(re.findall(r"^\S+==\S+", base.read_text(), re.MULTILINE)))
            options += ["--constraints", str(constraints)]
        command = ("uv", "pip", "compile", "--quiet", "--generate-hashes", *options)
        subprocess.run((*command, "--output-file", str(output), str(source)), check=True)
        return tomllib.loads(output.read_text())


def merge(locks: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Return the sha256 sums by pin (``name==version``) of several PEP 751 locks.

    Raises ValueError when they pin different versions: one file could not serve both.
    """
    pins: dict[str, set[str]] = {}
    versions: dict[str, str] = {}
    for package in (package for lock in locks for package in lock["packages"]):
        name, version = package["name"], package["version"]
        if versions.setdefault(name, version) != version:
            raise ValueError(f"{name} is {versions[name]} on one platform, {version} on another")
        # A source distribution is built only where no wheel fits.
        files = package.get("wheels") or [package["sdist"]]
        sums = pins.setdefault(f"{name}=={version}", set())
        sums.update(file["hashes"]["sha256"] for file in files)
    return pins


def render(pins: dict[str, set[str]], source: str, python: str) -> str:
    """Return pins and their sums as a requirements file for pip and uv."""
    lines = [HEADER.format(source=source, python=python)]
    for pin, sums in sorted(pins.items()):
        lines.append(" \\\n".join((pin, *(f"    --hash=sha256:{one}" for one in sorted(sums)))))
        lines.append("\n")
    return "".join(lines)


def lock(source: Path, python: str) -> Path:
    """Write one lock and return its path."""
    any_python = source.name in ANY_PYTHON
    suffix = "" if any_python else f"-py{python}"
    target = source.with_name(f"{source.stem}{suffix}.txt")
    pins = merge([resolve(source, python, platform) for platform in PLATFORMS])
    title = "any Python" if any_python else f"Python {python}"
    target.write_text(render(pins, source.name, title))
    return target


def main() -> int:
    """Write the locks and return the exit code: 1 when an input did not resolve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME.in", help="only these inputs")
    failed = False
    for source in sources(parser.parse_args().names):
        for python in PYTHONS[:1] if source.name in ANY_PYTHON else PYTHONS:
            try:
                print(lock(source, python).relative_to(REPOSITORY))
            except (subprocess.CalledProcessError, ValueError) as error:
                print(f"{source.name} for Python {python}: {error}", file=sys.stderr)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
