# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop a hand-made server and copy its SQLite database, so that nothing of the old one is touched.

Source: SQLite's "How To Corrupt An SQLite Database File" (a database is copied with its journals, or by SQLite itself).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from typing import Callable

from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Process

_BESIDE = ("", "-wal", "-journal")
_INTERVAL = 0.2
#: Tables of people's data; what any of them had must be there afterwards.
COUNTED = (
    *("experiments", "runs", "metrics", "latest_metrics", "params", "tags", "datasets", "inputs"),
    *("registered_models", "model_versions", "trace_info", "trace_tags", "logged_models"),
)


class AdoptionError(Exception):
    """The deployment can't be taken over; the text says why and what to do."""


def terminate(server: Process, table: Callable[[], dict[int, Process]], timeout: float) -> None:
    """Ask a server and its workers to end and wait until they have.  Raises AdoptionError; nothing is ever killed.

    Older releases run gunicorn, which goes on answering when only its parent is told to end (seen: 2.22.5).
    ``table`` returns all processes by number.
    """
    family = _family(server, table())
    deadline = time.monotonic() + timeout
    told: set[int] = set()
    while True:
        now = table()
        # Another process may have a number by then.
        left = [one for one in family if one.pid in now and now[one.pid].argv == one.argv]
        if not left:
            return
        if time.monotonic() > deadline:
            raise AdoptionError(
                f"process {left[0].pid} has not ended {timeout:g} s after SIGTERM: it may be busy with an upload; "
                "wait, or stop it by hand, and run again"
            )
        # From the top: a parent ends its workers when their requests are done.
        if left[0].pid not in told:
            told.add(left[0].pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(left[0].pid, signal.SIGTERM)
        time.sleep(_INTERVAL)


def _family(server: Process, processes: dict[int, Process]) -> list[Process]:
    """Return a process and its descendants, parents first."""
    family = [server]
    for one in family:
        family += [child for child in processes.values() if child.parent == one.pid]
    return family


def users_of(path: str) -> Iterator[int]:
    """Yield the processes that have a file open."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.path.samefile(f"/proc/{pid}/fd/{name}", path):
                        yield int(pid)
                        break


def back_up(database: str, directory: str) -> str:
    """Copy a database that nobody has open, with its journals, and return the copy, which is whole.

    Raises AdoptionError, OSError.
    """
    holders = sorted(set(users_of(database)))
    if holders:
        raise AdoptionError(
            f"process {holders[0]} has {database} open: stop it (a client with a sqlite:/// tracking address, "
            "perhaps), and run again"
        )
    os.makedirs(directory, mode=0o700, exist_ok=True)
    copy = os.path.join(directory, os.path.basename(database))
    for suffix in _BESIDE:
        if os.path.exists(database + suffix):
            shutil.copyfile(database + suffix, copy + suffix)
        elif os.path.exists(copy + suffix):
            # Of an attempt that was interrupted.
            os.unlink(copy + suffix)
    try:
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            (told,) = connection.execute("pragma integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        told = str(error)
    if told != "ok":
        raise AdoptionError(
            f"{database} is damaged: {told}. It was left as it is; `sqlite3 {database} .recover` may save its rows"
        )
    return copy


def counts(database: str) -> dict[str, int]:
    """Return the number of rows of each table of people's data.  Raises AdoptionError for no database of MLflow."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            return {
                table: int(connection.execute(" ".join(("select count(*) from", table))).fetchone()[0])
                for table in COUNTED
                if table in tables
            }
    except sqlite3.Error as error:
        raise AdoptionError(f"{database} can't be read as a database of MLflow: {error}") from error


def put(copy: str, target: str, uid: int, gid: int) -> None:
    """Put a copy where the new server looks for its database, in one step.

    Raises AdoptionError where another is, OSError.
    """
    if os.path.exists(target):
        if counts(target) == counts(copy):
            # It was put there by a run that was killed before it could record that.
            return
        raise AdoptionError(
            f"there is a database already, {target}: two can't become one. If it is empty, of a first try, "
            f"stop mlflow.service, take the file away, and run again"
        )
    partial = f"{target}.adopting"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    with contextlib.closing(sqlite3.connect(copy)) as source, contextlib.closing(sqlite3.connect(partial)) as new:
        source.backup(new)
    if counts(partial) != counts(copy):
        raise AdoptionError(f"the copy of {copy} has other rows than it: is the disk failing?")
    os.chown(partial, uid, gid)
    os.chmod(partial, 0o600)
    descriptor = os.open(partial, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(partial, target)


def missing(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return what there is less of than before, one text for each table."""
    return [
        f"{table} has {after.get(table, 0)} rows, it had {count}"
        for table, count in before.items()
        if after.get(table, 0) < count
    ]
