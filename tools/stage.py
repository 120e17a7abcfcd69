# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the collection where Ansible's tools look for one.

    python -m tools.stage link     .cache/collections, a symbolic link to the working tree
    python -m tools.stage copy     .cache/stage, a copy of what git would commit

ansible-test follows no links, and ``ansible-galaxy collection build`` would pack
whatever else lies in the working tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
NAME = Path("ansible_collections", "selfhosted", "mlflow")
LINKED = REPOSITORY / ".cache" / "collections"
COPIED = REPOSITORY / ".cache" / "stage"


def link(repository: Path = REPOSITORY, collections: Path = LINKED) -> Path:
    """Make the collections path that leads to the working tree, and return the link."""
    target = collections / NAME
    if not target.is_symlink() or target.resolve() != repository:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place, for several processes may do this at once.
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        scratch.symlink_to(os.path.relpath(repository, target.parent))
        scratch.replace(target)
    return target


def committable(repository: Path) -> list[Path]:
    """Return the files git tracks or would add, relative to the repository."""
    # As root in somebody else's clone git would refuse to work.
    git = ["git", "-c", f"safe.directory={repository}", "-C", str(repository)]
    command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True).stdout
    paths = (Path(os.fsdecode(name)) for name in listed.split(b"\0") if name)
    return [path for path in paths if (repository / path).is_file()]


def copy(repository: Path = REPOSITORY, collections: Path = COPIED) -> Path:
    """Make a fresh copy of what git would commit, and return its directory."""
    target = collections / NAME
    shutil.rmtree(target, ignore_errors=True)
    for path in committable(repository):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / path, target / path)
    # A repository of its own: in the outer one .cache is ignored, and so would be the copy.
    subprocess.run(["git", "init", "--quiet", str(target)], check=True)
    return target


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit code."""
    actions = {"link": link, "copy": copy}
    if len(arguments) != 1 or arguments[0] not in actions:
        print(f"usage: python -m tools.stage {'|'.join(actions)}", file=sys.stderr)
        return 2
    print(actions[arguments[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
