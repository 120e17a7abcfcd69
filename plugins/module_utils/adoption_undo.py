# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a host back to the server of old, where the one that was to take its place did not get to run.

What the new server left is renamed, never deleted: with its settings in place the next attempt would begin with them,
and with the copy of the database it would not copy what the old server writes from now on.
Source: systemd.unit(5) for the place of a unit's file, systemctl(1) for its states.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    adopted_database,
    server_rules,
    upgrade_journal,
    whole_file,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Process
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import Journal

NEW_UNIT = f"/etc/systemd/system/{server_rules.UNIT}"
_BESIDE = ("", "-wal", "-shm", "-journal")

#: Runs ``systemctl`` with arguments and returns its exit status and what it said.
Systemctl = Callable[[Sequence[str]], "tuple[int, str]"]


class StuckError(Exception):
    """The host can't be given back; the text says why and what to do."""


@dataclass(frozen=True)
class Before:
    """What was there before the old server was stopped.

    ``there`` has those of the new server's files that were there already, ``unit_path`` and ``unit_text`` are the file
    of the old server's unit, ``command`` is how a server without a unit was started, for people.  ``at`` is in seconds
    since 1970.
    """

    there: tuple[str, ...] = ()
    unit_path: str = ""
    unit_text: str = ""
    unit_enabled: bool = False
    command: str = ""
    at: float = 0.0


def read(recorded: Mapping[str, Any]) -> Before:
    """Return what a record of JSON says; records of older versions say nothing."""
    known = {entry.name for entry in fields(Before)}
    given = {name: value for name, value in recorded.items() if name in known}
    return Before(**{**given, "there": tuple(given.get("there", ()))})


def files_of_new(environment_file: str, target_database: str) -> tuple[str, ...]:
    """Return the new server's files that an attempt begins with: its settings, its unit, the copy of the database."""
    return (environment_file, NEW_UNIT, *(f"{target_database}{suffix}" for suffix in _BESIDE))


def look(files: Sequence[str], unit: str, server: Optional[Process], systemctl: Systemctl, at: float) -> Before:
    """Return what is there now; ``unit`` is the old server's, '' for a process without one.  Raises OSError."""
    there = tuple(path for path in files if os.path.lexists(path))
    if not unit:
        return Before(there, command=_command(server) if server else "", at=at)
    path = systemctl(("show", "--property=FragmentPath", "--value", "--", unit))[1].strip()
    enabled = systemctl(("is-enabled", "--quiet", "--", unit))[0] == 0
    return Before(there, path, _text(path) if path else "", enabled, at=at)


def _command(server: Process) -> str:
    words = shlex.join(adopted_database.shown(word) for word in server.argv)
    return f"cd {shlex.quote(server.directory)} && {words}"


def refuse_midway(journal: Optional[Journal], was: Before, copied_file: bool) -> None:
    """Raise StuckError where the old server would find a database that is not as it was.

    ``copied_file`` says that the new server has a copy of it, so that nothing can have happened to the old one.
    """
    if copied_file or journal is None:
        return
    if not journal.finished:
        raise StuckError(
            f"the database's migration stopped at the step '{journal.step}', so that the old server is not started on "
            "it: mend the reason and run the play again, it goes on with that step"
        )
    if journal.migrates and journal.step == upgrade_journal.DONE and journal.stopped_at >= was.at:
        raise StuckError(
            "the database is migrated to the new release, which the old server can't use: mend the reason and run the "
            f"play again. Its dump of before is {journal.backup}"
        )


def give_back(unit: str, was: Before, new: Sequence[str], mark: str, systemctl: Systemctl) -> tuple[str, ...]:
    """Stop the new server, rename what it left, start the old unit, and return the new names.

    ``new`` are the files that the new server may have left, ``mark`` is put at the end of their names.
    Raises StuckError where the old unit does not start, OSError.
    """
    if unit != server_rules.UNIT:
        systemctl(("disable", server_rules.UNIT))
    systemctl(("stop", server_rules.UNIT))
    aside = [_set_aside(path, mark) for path in new if os.path.lexists(path) and path not in was.there]
    if was.unit_path and _text(was.unit_path) != was.unit_text:
        if os.path.lexists(was.unit_path):
            aside.append(_set_aside(was.unit_path, mark))
        whole_file.write(was.unit_path, was.unit_text, 0o644)
    systemctl(("daemon-reload",))
    if unit:
        if was.unit_enabled:
            systemctl(("enable", "--", unit))
        code, said = systemctl(("start", "--", unit))
        if code != 0:
            raise StuckError(f"{unit} of old does not start: {said.strip()}; `journalctl --unit {unit}` says why")
    return tuple(aside)


def _set_aside(path: str, mark: str) -> str:
    os.rename(path, f"{path}{mark}")
    return f"{path}{mark}"


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
