# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user-mode kernel of this machine, and what it needs to run on this machine's processor."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.base import LabError, digest, locked, private_directory, run

_MEMORY_DIRECTORIES = (Path("/dev/shm"), Path("/tmp"))  # tmpfs first: a file on a disk would be written to it
_PRELOAD_SOURCE = Path(__file__).with_name("xstate.c")
_WIDE_STATE_FLAGS = frozenset({"amx_tile", "apx"})
_FIRST_SOUND_RELEASE = (6, 13)


def modules_directory(release: str) -> Path:
    """Where Debian's user-mode-linux package keeps the modules of its kernel."""
    return Path("/usr/lib/uml/modules") / release


def installed_release() -> str:
    """Return the release of the installed user-mode kernel.

    :raises LabError: none is installed.
    """
    release = run(["linux.uml", "--version"]).stdout.strip()
    if not modules_directory(release).is_dir():
        raise LabError(f"no modules for user-mode kernel {release} in {modules_directory(release)}")
    return release


def is_wide(cpuinfo: str) -> bool:
    """Tell from the text of /proc/cpuinfo whether the processor has more registers than old kernels keep."""
    flags = next((line.split(":", 1)[1].split() for line in cpuinfo.splitlines() if line.startswith("flags")), [])
    return not _WIDE_STATE_FLAGS.isdisjoint(flags)


def processor_is_wide() -> bool:
    """Ask `is_wide` about this machine."""
    return is_wide(Path("/proc/cpuinfo").read_text())


def keeps_wide_state(release: str) -> bool:
    """Tell whether a user-mode kernel of that release keeps all registers there may be."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return match is not None and (int(match[1]), int(match[2])) >= _FIRST_SOUND_RELEASE


def compiler() -> str | None:
    """Return a C compiler, if there is one."""
    return next((path for name in ("cc", "gcc", "tcc", "clang") if (path := shutil.which(name))), None)


def _preload(cache: Path) -> Path:
    """Return the compiled xstate.c, compiling it where absent."""
    private_directory(cache)
    library = cache / f"xstate-{digest(_PRELOAD_SOURCE.read_text())}.so"
    with locked(cache / "xstate.lock", "compiles xstate.c"):
        if not library.exists():
            tool = compiler()
            if not tool:
                raise LabError("this processor's user-mode Linux needs a C compiler; `python -m lab require uml`")
            aside = library.with_suffix(".new")
            run([tool, "-shared", "-fPIC", "-fno-builtin", "-nostdlib", "-o", str(aside), str(_PRELOAD_SOURCE)])
            aside.rename(library)
    return library


def memory_directory(megabytes: int) -> Path:
    """Return where a guest's memory can be a file: with that much room, and allowed to hold programs.

    :raises LabError: nowhere.
    """
    for directory in _MEMORY_DIRECTORIES:
        found = os.statvfs(directory)
        if found.f_bavail * found.f_frsize >= megabytes * 1024**2 and not found.f_flag & os.ST_NOEXEC:
            return directory
    names = " or ".join(str(directory) for directory in _MEMORY_DIRECTORIES)
    raise LabError(f"no room for {megabytes} MB of a host's memory in {names}, or these are mounted noexec")


def environment(cache: Path, megabytes: int) -> Mapping[str, str]:
    """Return the environment to run linux.uml in, for a guest of that size."""
    values = {"PATH": os.environ.get("PATH", os.defpath), "TMPDIR": str(memory_directory(megabytes))}
    if processor_is_wide() and not keeps_wide_state(installed_release()):
        # Bound at once: the small stacks of a user-mode kernel have no room for the dynamic linker.
        values |= {"LD_PRELOAD": str(_preload(cache)), "LD_BIND_NOW": "1"}
    return values
