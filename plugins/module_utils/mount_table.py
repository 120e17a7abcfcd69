# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount table of the system this runs on: Linux, macOS or FreeBSD."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded, mount_output, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry

_MOUNT = "/sbin/mount"

#: Runs a program and returns its status, output and errors, as AnsibleModule.run_command does.
Runner = Callable[[list[str]], tuple[int, str, str]]


def _printed(run: Runner) -> str:
    """Return what mount(8) prints; in a process of its own, for it sets that one's locale."""
    # FreeBSD 14 converts names to the locale's encoding; UTF-8 leaves them as they are.
    os.environ["LC_ALL"] = "C.UTF-8"
    status, out, _errors = run([_MOUNT])
    if status != 0:
        raise OSError(errno.EIO, f"ended with status {status}", _MOUNT)
    return out


def read_table(run: Runner, seconds: float = 10.0, platform: str = sys.platform) -> tuple[MountEntry, ...]:
    """Return what is mounted, in the order of the mounts, without touching any mounted file system on Linux.

    Other systems' tables tell less: see mount_output.parse().  On macOS a path below a firmlink such as /Users or
    /opt lies on /System/Volumes/Data, which its text doesn't say.  ``seconds`` bounds the wait for mount(8) there:
    it asks the kernel with MNT_NOWAIT, so for what it remembers, but macOS's also asks each mounted file system
    whether it is sealed, and a silent server can hold it.

    Raises OSError when the table can't be read, ValueError when it can't be parsed, and NoAnswerError when mount(8)
    hangs, which means that some mounted file system doesn't answer.
    """
    if platform.startswith("linux"):
        return mountinfo.read()
    return mount_output.parse(bounded.run(lambda: _printed(run), seconds))
