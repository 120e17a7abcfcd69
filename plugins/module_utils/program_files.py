# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of several files, as roles put them on hosts: which of them differ, and how they are replaced."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import whole_file

DATA_MODE, PROGRAM_MODE, DIRECTORY_MODE = 0o644, 0o755, 0o755
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class File:
    """A file as it is, or is wanted: root's, with the permission bits ``mode``."""

    text: str
    mode: int
    owned: bool = True


def wanted(files: Mapping[str, str]) -> dict[str, File]:
    """Return the files by their relative names; one that begins with ``#!`` can be run.

    Raises ValueError for a name that leads out of the directory, or that nobody gives a program.
    """
    odd = next((name for name in files if not _NAME.fullmatch(name)), None)
    if odd is not None:
        raise ValueError(f"{odd!r} can't be a program's file: write a relative path of letters, digits, '.', '_', '-'")
    return {
        name: File(text, PROGRAM_MODE if text.startswith("#!") else DATA_MODE) for name, text in sorted(files.items())
    }


def read(path: str) -> Optional[File]:
    """Return the file that is there, None when there is none.  Raises OSError for what is no readable file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            status = os.fstat(stream.fileno())
            return File(stream.read(), stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid) == (0, 0))
    except FileNotFoundError:
        return None


def replace(path: str, file: File) -> None:
    """Write a file in one step, with the directories that it needs.  Raises OSError."""
    whole_file.make_directory(os.path.dirname(path), DIRECTORY_MODE)
    whole_file.write(path, file.text, file.mode, (0, 0))
