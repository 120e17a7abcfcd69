# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and directories that are there whole or not at all, also after a power cut.

Source: rename(2) for the one step, fsync(2) for what a directory needs ("Calling fsync() does not necessarily ensure
that the entry in the directory containing the file has also reached disk").
"""

from __future__ import annotations

import os
import tempfile


def write(path: str, text: str, mode: int = 0o600, owner: tuple[int, int] = (-1, -1)) -> None:
    """Replace a file in one step; it is on the disk when this returns.

    It is never readable by others than ``mode`` says.  ``owner`` has the numbers of a user and a group, -1 for one
    that stays as a new file has it.  Raises OSError.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".")
    try:
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
            os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Have a directory's names on the disk.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: str, mode: int) -> None:
    """Make a directory where it is absent, and those above it for all to enter; their names are on the disk then.

    The modes hold whatever the umask.  Raises OSError.
    """
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        make_directory(parent, 0o755)
        os.mkdir(path)
        os.chmod(path, mode)
        sync_directory(parent)
