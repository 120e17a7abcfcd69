# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the collections that ours and its tests need beside it.

    python -m tools.fetch_collections

They come from the `ansible` package of the Python package index, whose hash is
checked, because an index is reachable where Galaxy is not.  uv keeps the package
in its cache, so that this unpacks and drops it in about two seconds.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import stage

LOCK = stage.REPOSITORY / "requirements" / "collections.txt"
#: Molecule's Docker driver with what that needs, and the dependencies in galaxy.yml.
WANTED = (
    "ansible.posix",
    # What the role mlflow_proxy depends on.
    "community.crypto",
    "community.docker",
    # What the role mlflow_firewall can tell of open ports; ansible.posix, too.
    "community.general",
    "community.library_inventory_filtering_v1",
    # What the role mlflow_database depends on.
    "community.mysql",
    "community.postgresql",
)


def is_current(collections: Path, wanted: tuple[str, ...], lock: str) -> bool:
    """Whether ``collections`` holds what is ``wanted`` from the package locked by ``lock``."""
    stamp = collections / "fetched.txt"
    present = all((collections / "ansible_collections" / Path(*name.split("."))).is_dir() for name in wanted)
    return present and stamp.is_file() and stamp.read_text(encoding="utf-8") == lock


def take(unpacked: Path, collections: Path, wanted: tuple[str, ...]) -> None:
    """Move the ``wanted`` collections from an unpacked package, in place of older ones.

    Raises FileNotFoundError when the package has no such collection.
    """
    for name in wanted:
        place = Path("ansible_collections", *name.split("."))
        target = collections / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        (unpacked / place).rename(target)


def main() -> int:
    """Fetch what is absent and return the exit code."""
    collections, lock = stage.LINKED, LOCK.read_text(encoding="utf-8")
    stage.link()
    if is_current(collections, WANTED, lock):
        return 0
    uv = str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory(dir=collections) as unpacked:
        # Copies, for a hard link would lay what uv caches open to changes.
        options = ["--quiet", "--no-deps", "--require-hashes", "--link-mode=copy", "--target", unpacked]
        subprocess.run([uv, "pip", "install", *options, "--requirement", str(LOCK)], check=True)
        take(Path(unpacked), collections, WANTED)
    (collections / "fetched.txt").write_text(lock, encoding="utf-8")
    print(f"fetched {' and '.join(WANTED)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
