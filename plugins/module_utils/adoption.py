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
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import deployment, whole_file
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Process
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Owner, acting_as
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_BESIDE = ("", "-wal", "-journal")
_INTERVAL = 0.2
#: Files that are looked at before the move looks at all.
_LOOKED_AT = 10_000
_RESERVE = 64 << 20
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
    family = deployment.family(server, table())
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


def users_of(path: str) -> Iterator[int]:
    """Yield the processes that have a file open."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.path.samefile(f"/proc/{pid}/fd/{name}", path):
                        yield int(pid)
                        break


def unreadable(directory: str, account: Optional[Owner]) -> str:
    """Return a path among the first below a directory that may not be read, '' when all may.

    What root may not, ``account`` perhaps may: a file server knows no root (root_squash), nor another's files.
    """
    refused = _refused(directory)
    if refused and account:
        with acting_as(account):
            refused = _refused(directory)
    return refused


def _refused(directory: str) -> str:
    errors: list[OSError] = []
    looked_at = 0
    for below, _directories, files in os.walk(directory, onerror=errors.append):
        if errors:
            return str(errors[0].filename)
        for name in files:
            path = os.path.join(below, name)
            if not (os.path.islink(path) or os.access(path, os.R_OK, effective_ids=True)):
                return path
        looked_at += len(files) + 1
        if looked_at > _LOOKED_AT:
            break
    return str(errors[0].filename) if errors else ""


def room_problem(database: str, directories: Sequence[str]) -> Optional[Problem]:
    """Return that a database's copies do not fit into directories, which need not be there yet."""
    size = sum(os.path.getsize(database + suffix) for suffix in _BESIDE if os.path.exists(database + suffix))
    for directory in directories:
        near = directory
        while not os.path.isdir(near):
            near = os.path.dirname(near)
        free = shutil.disk_usage(near).free
        # Both copies may go to one disk.
        if free < len(directories) * size + _RESERVE:
            return Problem(
                f"{database} has {size} bytes, and {directory} has room for {free}",
                f"it is copied {len(directories)} times, and the old one stays",
                "make room, or set mlflow_backup_directory to another disk",
            )
    return None


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
    whole_file.make_directory(directory, 0o700)
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
