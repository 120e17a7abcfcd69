# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file at an artifact root that says whose artifacts these are.

It is written once and never overwritten: whoever finds another deployment's marker looks at another share.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from dataclasses import dataclass
from typing import Optional

NAME = ".mlflow-deployment"
_MODE = 0o644
_READ_BYTES = 4096
_DEPLOYMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: What link(2) says where the file system knows no hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Marker:
    """What stands at a root: ``deployment`` is '' when nothing stands there and nothing was asked for."""

    deployment: str
    written: bool


def check(deployment: str) -> None:
    """Raise ValueError when a wished id is none."""
    if deployment and not _DEPLOYMENT.fullmatch(deployment):
        raise ValueError(
            f"deployment is {deployment!r}. It has to be 1 to 64 letters, digits and . _ -, starting with a letter or "
            "digit. Leave it empty, and one is made"
        )


def read(root: str) -> Optional[str]:
    """Return the id that a root's marker holds, or None without a marker.

    Raises OSError when the root or the marker can't be read, ValueError when the marker is no such file.
    """
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A name that the client remembers as absent is looked up anew once the directory was listed.
        if NAME not in os.listdir(directory):
            return None
        descriptor = os.open(NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError(f"{os.path.join(root, NAME)} is not a regular file. Remove it")
        text = os.read(descriptor, _READ_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    if not _DEPLOYMENT.fullmatch(text.rstrip("\n")):
        raise ValueError(
            f"{os.path.join(root, NAME)} holds {text[:80]!r}, which is no deployment's id. If no deployment needs it, "
            "remove it"
        )
    return text.rstrip("\n")


def _write(directory: int, name: str, text: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE, dir_fd=directory)
    try:
        os.fchmod(descriptor, _MODE)
        os.write(descriptor, text)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(directory: int, text: bytes) -> None:
    """Have the marker appear with its content, or raise FileExistsError when there is one."""
    temporary = f"{NAME}-{secrets.token_hex(8)}"
    _write(directory, temporary, text)
    try:
        os.link(temporary, NAME, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _write(directory, NAME, text)
    finally:
        os.unlink(temporary, dir_fd=directory)
    os.fsync(directory)


def ensure(root: str, deployment: str = "", write: bool = True) -> Marker:
    """Have a marker at ``root``, of the wished id or of a new one, and return whose it is.

    Without ``write`` a marker that is absent stays absent, and is told as written.  Raises ValueError when another
    deployment's marker stands there, and OSError when it can't be read or written.
    """
    check(deployment)
    found = read(root)
    if found is None and not write:
        return Marker(deployment, written=True)
    if found is None:
        directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            wanted = deployment or secrets.token_hex(16)
            _publish(directory, f"{wanted}\n".encode())
        except FileExistsError:
            # Another host was quicker.
            found = read(root)
        else:
            return Marker(wanted, written=True)
        finally:
            os.close(directory)
    if deployment and found != deployment:
        raise ValueError(
            f"{os.path.join(root, NAME)} says that these are the artifacts of the deployment {found!r}, not of "
            f"{deployment!r}. Mount the right share, or name the deployment {found!r}; if the share was taken over for "
            "good, remove that file"
        )
    return Marker(found or "", written=False)
