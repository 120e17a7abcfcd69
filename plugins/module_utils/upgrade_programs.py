# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the steps of an upgrade run, and what they are given and leave behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    environment,
    migrate_program,
    program,
    releases,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
LOOK_SECONDS = 300.0
#: The directory is the service's account's own, so not through a link of its making.
LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
#: What systemctl may take beyond the service's own limits.
_SYSTEMD_SECONDS = 60.0
_SHOWN = 400


class StepError(Exception):
    """A step could not be done; the message is for a person to read."""


class RefusedError(Exception):
    """Why the upgrade is not begun."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


@dataclass(frozen=True)
class Settings:
    """Where things are, and how long they may take in seconds.

    ``root`` holds the releases, ``environment_file`` the server's settings, ``user`` is its account, ``unit``
    its service; ``backups`` is the directory of the dumps.  ``path`` is where systemctl is looked for.
    """

    root: str
    environment_file: str
    unit: str
    user: str
    backups: str
    start_timeout: float
    migration_timeout: float
    path: str = _BARE["PATH"]


class Programs:
    """Runs programs one at a time, with the lock that only one upgrade has.

    ``log_file`` is where all that they say goes, '' while there is none.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = releases.Layout(settings.root)
        self.held: tuple[int, ...] = ()
        self.log_file = ""

    def lock(self, patience: float = 600.0) -> None:
        """Wait for the only right to upgrade.

        The programs of a step inherit the lock: one that outlives its killed run is waited for, so that nothing is
        restored under a migration.  Raises StepError when it takes too long.
        """
        descriptor = os.open(f"{self.settings.root}/.upgrade.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StepError(f"another upgrade has been under way for {patience:.0f} s") from None
                time.sleep(0.2)
            else:
                self.held = (descriptor,)
                return

    def own(self, release: str, name: str) -> tuple[str, ...]:
        """Return the command of one of the role's programs under a release's Python."""
        python = f"{self.layout.release(release)}/bin/python"
        return (python, "-I", f"{self.settings.root}/libexec/{name}")

    def migrator(self, release: str, *arguments: str) -> tuple[str, ...]:
        """Return the command of migrate_program under a release's Python."""
        return (f"{self.layout.release(release)}/bin/python", "-I", "-", *arguments)

    def database(self, release: str) -> tuple[str, ...]:
        """Return the beginning of the command that looks at, dumps and restores databases."""
        return (*self.own(release, "mlflow-database"), "--environment", self.settings.environment_file)

    def bare(self) -> dict[str, str]:
        """Return the environment of a program that needs none of the server's."""
        return {**_BARE, "PATH": self.settings.path}

    def environment(self) -> dict[str, str]:
        """Return the server's environment, which holds its secrets.  Raises OSError."""
        with open(self.settings.environment_file, encoding="utf-8") as stream:
            return {**self.bare(), **environment.parse(stream.read())}

    def user(self) -> program.User:
        """Return the service's account.  Raises StepError when there is none."""
        found = program.user(self.settings.user)
        if found is None:
            raise StepError(f"there is no account {self.settings.user}")
        return found

    def run(self, command: Sequence[str], given: Mapping[str, str], seconds: float = 0.0) -> program.Ended:
        """Run a program as the service's account, with the lock.

        Raises StepError when it fails; all that it says goes to the log.
        """
        text = program.source(migrate_program) if command[2] == "-" else ""
        name = os.path.basename(command[2]) if not text else "mlflow"
        limit, manner = seconds or self.settings.migration_timeout, program.Manner(0o077, self.held)
        try:
            ended = program.run(command, text, given, limit, self.user(), manner)
        except (OSError, program.TooSlowError) as error:
            raise StepError(f"{name}: {error}") from None
        self.say(f"{name}:\n{ended.out}{ended.err}".rstrip())
        if ended.code != 0:
            raise StepError(f"{name}: {_told(ended)}")
        return ended

    def run_quietly(self, command: Sequence[str]) -> str:
        """Return what a program says, whatever becomes of it."""
        try:
            return program.run(command, "", self.bare(), _SYSTEMD_SECONDS).out
        except (OSError, program.TooSlowError) as error:
            return str(error)

    def systemctl(self, *arguments: str) -> program.Ended:
        """Run systemctl, without the lock: the server would inherit it.  Raises StepError when it hangs."""
        seconds = self.settings.start_timeout + _SYSTEMD_SECONDS
        try:
            return program.run(("systemctl", *arguments), "", self.bare(), seconds)
        except program.TooSlowError as error:
            raise StepError(f"systemctl {arguments[0]}: {error}") from None

    def say(self, text: str) -> None:
        """Write to the log, once there is one; a disk that is full is no reason not to go back."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with contextlib.suppress(OSError):
            if self.log_file:
                with open(os.open(self.log_file, LOG_FLAGS, 0o600), "a", encoding="utf-8") as log:
                    log.write(f"{stamp} {text}\n")


def end(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:_SHOWN] if lines else "it said nothing"


def _told(ended: program.Ended) -> str:
    """Return what a program gave as its reason: mlflow-database as JSON, the others as their last line."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        told = json.loads(ended.out)["error"]
        return f"{told['found']}; {told['why']}; {told['instead']}"
    return end(ended.err or ended.out)
