# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release directories behind one symbolic link that is switched atomically.

    <root>/venvs/<release>/           a release; unfinished while it has no .complete
    <root>/current -> venvs/<release>

A virtual environment holds its own absolute path, so a release is built under its
final name.  The marker, written last and after the data has reached the disk, is what
makes it one: a power cut at any moment leaves the old ``current`` working.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

MARKER = ".complete"


@dataclass(frozen=True)
class Layout:
    """The paths below a root directory."""

    root: str

    @property
    def venvs(self) -> str:
        """The directory of the releases."""
        return f"{self.root}/venvs"

    @property
    def current(self) -> str:
        """The symbolic link to the release in use."""
        return f"{self.root}/current"

    @property
    def cache(self) -> str:
        """The installers' downloads, kept during one install."""
        return f"{self.root}/cache"

    @property
    def tools(self) -> str:
        """The directory of the tools that build releases."""
        return f"{self.root}/tools"

    @property
    def journal(self) -> str:
        """The file in which an upgrade under way names the releases that it needs (see upgrade_journal)."""
        return f"{self.root}/upgrade.json"

    @property
    def lock(self) -> str:
        """The file that one installing run holds locked."""
        return f"{self.root}/.lock"

    def release(self, name: str) -> str:
        """Return the directory of a release."""
        return f"{self.venvs}/{name}"


@dataclass(frozen=True)
class State:
    """What is on disk: ``complete`` lists releases by last use, the oldest first.

    ``needed`` are those that an unfinished upgrade goes from and to.
    """

    current: Optional[str]
    complete: tuple[str, ...]
    unfinished: tuple[str, ...]
    needed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What has to be done so that ``release`` is the current one."""

    release: str
    build: bool
    switch: bool
    remove: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.build or self.switch or bool(self.remove)


def _last_use(directory: str) -> Optional[float]:
    """Return when a release was last switched to, None when it is unfinished."""
    try:
        return os.stat(os.path.join(directory, MARKER)).st_mtime
    except (FileNotFoundError, NotADirectoryError):
        return None


def scan(layout: Layout) -> State:
    """Read the state below a root, which need not exist yet."""
    try:
        used = {name: _last_use(layout.release(name)) for name in sorted(os.listdir(layout.venvs))}
    except FileNotFoundError:
        used = {}
    try:
        current: Optional[str] = os.path.basename(os.readlink(layout.current))
    except FileNotFoundError:
        current = None
    complete = sorted((time, name) for name, time in used.items() if time is not None)
    unfinished = tuple(name for name, time in used.items() if time is None)
    return State(current, tuple(name for time, name in complete), unfinished, _needed(layout))


def _needed(layout: Layout) -> tuple[str, ...]:
    try:
        journal = json.loads(_read(layout.journal) or b"{}")
    except ValueError:
        return ()
    return tuple(map(str, journal.get("needs", ()))) if isinstance(journal, dict) else ()


def plan(state: State, release: str, keep: int, in_use: Iterable[str] = (), activate: bool = True) -> Plan:
    """Return how to get from ``state`` to ``release`` being current, or only being there without ``activate``.

    ``keep`` complete releases besides it stay, the last used ones; those a process
    runs from, or an unfinished upgrade needs, stay whatever ``keep`` says, and so does the
    current one that is not switched away from.  Directories that an interrupted install left
    behind go; one of the wanted release is replaced by building it.
    """
    old = [name for name in state.complete if name not in (release, state.current)]
    if state.current in state.complete and state.current != release:
        old.append(str(state.current))
    surplus = old[: max(len(old) - keep, 0)]
    leftover = [name for name in state.unfinished if name not in (release, state.current)]
    busy = {*in_use, *state.needed, *(() if activate else (state.current,))}
    return Plan(
        release=release,
        build=release not in state.complete,
        switch=activate and state.current != release,
        remove=tuple(name for name in (*surplus, *leftover) if name not in busy),
    )


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""


def running_from(layout: Layout, proc: str = "/proc") -> set[str]:
    """Return the releases that some process runs from or has files of mapped.

    Needs root to see other users' processes; those that end meanwhile are skipped.
    """
    pattern = re.compile(re.escape(layout.venvs.encode()) + rb"/([^/\0\n]+)/")
    found: set[str] = set()
    for path in glob.glob(f"{proc}/[0-9]*"):
        text = _read(f"{path}/cmdline") + _read(f"{path}/maps")
        found.update(os.fsdecode(name) for name in pattern.findall(text))
    return found


def flush(directory: str) -> None:
    """Write the file system of ``directory`` to its disk (syncfs(2)).

    Not sync(2), which would also wait for any dead network file system.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), directory)
    finally:
        os.close(descriptor)


def finish(layout: Layout, release: str, manifest: dict[str, Any]) -> None:
    """Mark a release complete, once all of it is on the disk."""
    directory = layout.release(release)
    flush(directory)
    temporary = os.path.join(directory, f"{MARKER}.new")
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(manifest, stream, indent=2, sort_keys=True)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, os.path.join(directory, MARKER))


def activate(layout: Layout, release: str) -> None:
    """Point ``current`` at a complete release in one atomic step."""
    os.utime(os.path.join(layout.release(release), MARKER))
    temporary = f"{layout.current}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(os.path.relpath(layout.release(release), layout.root), temporary)
    os.replace(temporary, layout.current)
    flush(layout.root)


def describe(current: Optional[str], releases: Iterable[str]) -> str:
    """Return a state as the text that a diff shows."""
    lines = [f"current: {current or 'none'}", "releases:"]
    return "\n".join(lines + [f"  - {name}" for name in sorted(releases)]) + "\n"
