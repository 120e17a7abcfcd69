# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount table of the system this runs on: Linux, macOS or FreeBSD."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mount_output, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry

_MOUNT = "/sbin/mount"
_REAP_SECONDS = 1.0


def _give_up(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it started, wait for it briefly, and leave it behind if it can't die."""
    os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAP_SECONDS)


def _printed(program: str, seconds: float) -> str:
    """Return what ``program`` prints.  Raises OSError when it fails, NoAnswerError when it doesn't end.

    mount(8) asks the kernel with MNT_NOWAIT, so for what it remembers, but macOS's also asks each mounted file system
    whether it is sealed: a silent server can hold it.  Nothing waits for it then, not even after it was killed.
    """
    # FreeBSD 14 converts names to the locale's encoding; UTF-8 leaves them as they are.
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        [program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment,
        start_new_session=True,
    )
    try:
        printed, _errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _give_up(process)
        raise NoAnswerError(seconds, f"{program} did not end") from None
    if process.returncode != 0:
        raise OSError(errno.EIO, f"ended with status {process.returncode}", program)
    return os.fsdecode(printed)


def read_table(seconds: float = 10.0, platform: str = sys.platform, program: str = _MOUNT) -> tuple[MountEntry, ...]:
    """Return what is mounted, in the order of the mounts, without touching any mounted file system on Linux.

    ``seconds`` bounds the wait for ``program`` on other systems, whose tables tell less: see mount_output.parse().
    On macOS a path below a firmlink such as /Users or /opt lies on /System/Volumes/Data, which its text doesn't say.

    Raises OSError when the table can't be read, ValueError when it can't be parsed, and NoAnswerError when the
    program hangs, which means that some mounted file system doesn't answer.
    """
    if platform.startswith("linux"):
        return mountinfo.read()
    return mount_output.parse(_printed(program, seconds))
