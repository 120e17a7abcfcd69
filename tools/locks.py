#!/usr/bin/env python3
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the hash-locked requirements that the roles ship.

Every ``roles/*/files/locks/NAME.in`` becomes ``NAME-py3.X.txt`` for each supported
Python, resolved by uv for Linux and written without index addresses or comments:

    python tools/locks.py [NAME.in ...]

A lock holds only hashes of files that its Python on Linux can install, so it stays
readable and a wheel for another platform is refused.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: uv's wheel holds a program and no Python code, so that one lock serves all.
ANY_PYTHON = frozenset({"uv.in"})
HEADER = "# Locked by `make locks` from {source}, for Linux and {python}.\n"
_WHEEL_TAGS = re.compile(r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$")


def sources(names: list[str]) -> Iterator[Path]:
    """Yield the requirement inputs of all roles, or those with the given file names."""
    for path in sorted(REPOSITORY.glob("roles/*/files/locks/*.in")):
        if not names or path.name in names:
            yield path


def installable(wheel: str, python: str) -> bool:
    """Return whether CPython ``python`` ("3.11") on Linux can install the named wheel file.

    Tags are those of the platform compatibility specification (PEP 425, PEP 600).
    """
    tags = _WHEEL_TAGS.search(wheel)
    if tags is None:
        raise ValueError(f"not the name of a wheel: {wheel}")
    minor = int(python.split(".")[1])
    platforms = tags["platform"].split(".")
    if not any(re.match(r"any$|(many|musl)?linux.*_(x86_64|aarch64)$", name) for name in platforms):
        return False
    pythons, abis = tags["python"].split("."), tags["abi"].split(".")
    if f"cp3{minor}" in pythons:
        return f"cp3{minor}" in abis or "abi3" in abis or "none" in abis
    if "abi3" in abis:
        return any(
            match and int(match[1]) <= minor
            for match in (re.fullmatch(r"cp3(\d+)", name) for name in pythons)
        )
    return "none" in abis and any(name in ("py3", f"py3{minor}") for name in pythons)


def resolve(source: Path, python: str) -> dict[str, Any]:
    """Return uv's resolution (PEP 751) of a requirements input.

    Raises subprocess.CalledProcessError when there is none.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # uv takes the environments to resolve for only from a project file.
        Path(scratch, "pyproject.toml").write_text(
            f"""[tool.uv]\nenvironments = ["sys_platform == 'linux' and python_version == '{python}'"]\n""",
        )
        output = Path(scratch, "pylock.toml")
        subprocess.run(
            ("uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes")
            + ("--no-annotate", "--no-header", "--python-version", python)
            + ("--output-file", str(output), str(source)),
            cwd=scratch,
            check=True,
        )
        return tomllib.loads(output.read_text())


def hashes(package: dict[str, Any], python: str) -> list[str]:
    """Return the sorted sha256 sums of what may be installed of a package of a PEP 751 lock."""
    wheels = [
        wheel["hashes"]["sha256"]
        for wheel in package.get("wheels", [])
        if installable(wheel["url"].rsplit("/", 1)[-1].partition("#")[0], python)
    ]
    # A source distribution is built only where no wheel fits.
    return sorted(wheels) or [package["sdist"]["hashes"]["sha256"]]


def render(lock: dict[str, Any], source: Path, python: str, title: str) -> str:
    """Return a PEP 751 lock as pip's requirements with hashes."""
    lines = [HEADER.format(source=source.name, python=title)]
    for package in sorted(lock["packages"], key=lambda entry: str(entry["name"])):
        marker = f" ; {package['marker']}" if "marker" in package else ""
        pin = f"{package['name']}=={package['version']}{marker}"
        sums = (f"    --hash=sha256:{value}" for value in hashes(package, python))
        lines.append(" \\\n".join((pin, *sums)) + "\n")
    return "".join(lines)


def main() -> int:
    """Write the locks and return the exit code: 1 when an input did not resolve."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME.in", help="only these inputs")
    failed = False
    for source in sources(parser.parse_args().names):
        any_python = source.name in ANY_PYTHON
        for python in PYTHONS[:1] if any_python else PYTHONS:
            suffix = "" if any_python else f"-py{python}"
            target = source.with_name(f"{source.stem}{suffix}.txt")
            try:
                lock = resolve(source, python)
            except subprocess.CalledProcessError:
                print(f"{target.name}: does not resolve", file=sys.stderr)
                failed = True
                continue
            title = "any Python" if any_python else f"Python {python}"
            target.write_text(render(lock, source, python, title))
            print(f"{target.relative_to(REPOSITORY)}: {len(lock['packages'])} packages")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
