# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold secrets: read with their owner and mode, and replaced in one step."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import whole_file


@dataclass(frozen=True)
class Wanted:
    """A file as it is, or is wanted; ``gid`` is None for a group that isn't there (yet)."""

    text: str = field(repr=False)
    mode: int = 0o600
    uid: int = 0
    gid: Optional[int] = 0


def read(path: str) -> Optional[Wanted]:
    """Return a file, None when there is none.  Raises OSError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            status = os.fstat(stream.fileno())
            return Wanted(stream.read(), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    except FileNotFoundError:
        return None


def write(path: str, file: Wanted) -> None:
    """Replace a file in one step; it is never readable by others than its mode says.  Raises OSError."""
    whole_file.make_directory(os.path.dirname(path), 0o755)
    whole_file.write(path, file.text, file.mode, (file.uid, -1 if file.gid is None else file.gid))
