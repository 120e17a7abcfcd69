# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of an upgrade do on the host; in which order they come, upgrade_journal says."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    database_uri,
    migrate_program,
    program,
    releases,
    upgrade_journal,
    upgrade_rules,
    whole_file,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import Journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_programs import (
    LOG_FLAGS,
    LOOK_SECONDS,
    Programs,
    RefusedError,
    Settings,
    StepError,
    end,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_rules import Schema, Space, Store

_HOLD = """\
An upgrade of MLflow is under way, or was interrupted: while this file is here, mlflow.service does not start, since
its release may not fit the database. Run the play again; it goes on or goes back. How far it has come: {journal}
"""


@dataclass(frozen=True)
class Look:
    """The databases as they are, and the schemas that a release wants."""

    stores: tuple[Store, ...]
    wanted: Mapping[str, Schema]

    @property
    def behind(self) -> list[Store]:
        """The stores that are to be migrated."""
        return upgrade_rules.behind(self.stores, self.wanted)


class Host:
    """The host whose server is upgraded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = releases.Layout(settings.root)
        self.hold = f"{settings.root}/upgrade.hold"
        self.programs = Programs(settings)

    # --- what is there -------------------------------------------------------

    @property
    def configured(self) -> bool:
        """Whether the server has its settings yet, and so perhaps a database."""
        return os.path.exists(self.settings.environment_file)

    @property
    def equipped(self) -> bool:
        """Whether the programs that look at databases are there yet."""
        return os.path.exists(f"{self.settings.root}/libexec/mlflow-database")

    def running(self) -> bool:
        """Return whether the service is up, and so has found a schema that fits its release."""
        return self.programs.systemctl("is-active", "--quiet", self.settings.unit).code == 0

    def look(self, release: str, wanted: str) -> Look:
        """Read the databases by the packages of ``release``, and what ``wanted`` wants, nothing while it isn't built.

        Raises RefusedError when the databases don't answer.
        """
        return Look(self._stores(release), self.wanted(wanted))

    def wanted(self, release: str) -> dict[str, Schema]:
        """Return the schemas that a release knows, by store."""
        libraries = glob.glob(f"{self.layout.release(release)}/lib/python3*/site-packages")
        return {name: _schema(libraries, below) for name, below in upgrade_rules.SCRIPTS.items()}

    def spaces(self, stores: Sequence[Store]) -> tuple[Space, dict[str, Space]]:
        """Return the free space for dumps, and beside the files of SQLite."""
        beside = {}
        for store in stores:
            path = self._file(store)
            if path:
                beside[store.name] = _space(os.path.dirname(path))
        return _space(self.settings.backups), beside

    def sample(self, release: str) -> dict[str, str]:
        """Return the ids of an experiment and a run that must be there afterwards."""
        programs = self.programs
        ended = programs.run(programs.migrator(release, "sample"), programs.environment(), LOOK_SECONDS)
        return {str(key): str(value) for key, value in json.loads(ended.out).items()}

    def _stores(self, release: str) -> tuple[Store, ...]:
        command = (*self.programs.database(release), "status")
        try:
            ended = program.run(
                command,
                "",
                self.programs.bare(),
                LOOK_SECONDS,
                self.programs.user(),
                program.Manner(0o077, self.programs.held),
            )
            found = json.loads(ended.out)
        except (OSError, program.TooSlowError, ValueError) as error:
            raise RefusedError([self._unread(str(error))]) from None
        if "error" in found:
            raise RefusedError([upgrade_rules.problem(found["error"])])
        return upgrade_rules.stores(found)

    def _unread(self, seen: str) -> Problem:
        return Problem(
            f"the database could not be read: {seen}",
            "it is backed up and migrated before a new release uses it",
            f"see what `{self.settings.root}/libexec/mlflow-database --environment {self.settings.environment_file} "
            f"status` says under a release's Python",
        )

    def _file(self, store: Store) -> str:
        names = {"tracking": "MLFLOW_BACKEND_STORE_URI", "registry": "MLFLOW_REGISTRY_STORE_URI"}
        uri = self.programs.environment().get(names.get(store.name, ""), "")
        scheme, _colon, rest = uri.partition(":")
        if not scheme.startswith("sqlite"):
            return ""
        try:
            return database_uri.sqlite_path(rest)
        except ValueError:
            return ""

    # --- the steps -----------------------------------------------------------

    def carry_out(self, journal: Journal) -> Journal:
        """Do what is left of an upgrade and return its end.  Raises StepError when it can't even go back."""
        self._have_backups()
        while True:
            upgrade_journal.write(self.layout.journal, journal)
            if journal.finished:
                return journal
            self.programs.log_file = journal.log
            self.programs.say(f"step {journal.step}: {journal.source} -> {journal.target}")
            try:
                journal = self._perform(journal).advanced()
            except (StepError, RefusedError, OSError, ValueError) as error:
                self.programs.say(f"step {journal.step} failed: {error}")
                if journal.goes_back:
                    raise StepError(f"step '{journal.step}': {error}") from None
                journal = journal.failed(str(error))

    def _have_backups(self) -> None:
        """Make the directory of the dumps, which the service's account writes: a database may know it by its name."""
        path, who = self.settings.backups, self.programs.user()
        whole_file.make_directory(path, 0o700)
        os.chown(path, who.uid, who.gid, follow_symlinks=False)

    def release_hold(self) -> None:
        """Let the service start."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.hold)

    def activate(self, release: str) -> None:
        """Switch the link to a release."""
        releases.activate(self.layout, release)

    def _perform(self, journal: Journal) -> Journal:
        step = journal.step
        if step in ("stop", "back_stop"):
            self.stop()
            return replace(journal, stopped_at=journal.stopped_at or time.time())
        if step == "dump":
            self._dump(journal, journal.backup)
        elif step == "migrate":
            self._migrate(journal)
        elif step == "switch":
            self.activate(journal.target)
        elif step in ("start", "back_start"):
            self.start()
        elif step == "verify":
            self._verify(journal, journal.target)
        else:
            self._go_back(journal)
        return journal

    def _go_back(self, journal: Journal) -> None:
        if journal.step == "back_keep":
            self._dump(journal, f"{journal.backup}-kept")
        elif journal.step == "back_restore":
            self.programs.run(
                (*self.programs.database(journal.target), "restore", journal.backup), self.programs.bare()
            )
        elif journal.step == "back_switch":
            self.activate(journal.source)
        elif journal.step == "back_verify":
            self._verify(journal, journal.source)

    def stop(self) -> None:
        """Stop the service, and keep it from starting."""
        whole_file.write(self.hold, _HOLD.format(journal=self.layout.journal))
        ended = self.programs.systemctl("stop", self.settings.unit)
        if ended.code != 0 or self.running():
            raise StepError(f"the service does not stop: {end(ended.err)}")

    def _dump(self, journal: Journal, directory: str) -> None:
        # It comes to its name when it is whole; the server has not run since.
        if not os.path.exists(directory):
            self.programs.run((*self.programs.database(journal.target), "dump", directory), self.programs.bare())

    def _migrate(self, journal: Journal) -> None:
        command = self.programs.migrator(journal.target, "migrate", "--log")
        with open(os.open(journal.log, LOG_FLAGS, 0o600), "w", encoding="utf-8") as log:
            manner = program.Manner(0o007, (*self.programs.held, log.fileno()))
            try:
                ended = program.run(
                    (*command, str(log.fileno())),
                    program.source(migrate_program),
                    self.programs.environment(),
                    self.settings.migration_timeout,
                    self.programs.user(),
                    manner,
                )
            except program.TooSlowError as error:
                raise StepError(f"the migration was stopped: {error}") from None
        if ended.code != 0:
            raise StepError(f"the migration failed: {_last_line(journal.log)}")
        left = self.look(journal.target, journal.target).behind
        if left:
            raise StepError(f"after the migration the schema of {left[0].name} is still at {left[0].revision}")

    def start(self) -> None:
        """Start the service, which is over when its API answers.  Raises StepError when it does not."""
        self.release_hold()
        # The unit may be new.
        self.programs.systemctl("daemon-reload")
        ended = self.programs.systemctl("start", self.settings.unit)
        state = self.programs.systemctl("show", "--property=ActiveState", "--value", self.settings.unit).out.strip()
        if ended.code != 0 or state != "active":
            said = self.programs.run_quietly(("journalctl", "--unit", self.settings.unit, "--lines=60", "--no-pager"))
            self.programs.say(f"the service's journal:\n{said}")
            raise StepError(
                f"the service did not start (its state is {state or 'unknown'}): {end(ended.err)}; what it said "
                f"stands in the log, and `journalctl --unit {self.settings.unit}` shows it"
            )

    def _verify(self, journal: Journal, release: str) -> None:
        given = self.programs.environment()
        names = (name.strip() for name in given.get("MLFLOW_SERVER_ALLOWED_HOSTS", "").split(","))
        host = next((name for name in names if name and "*" not in name), f"localhost:{given.get('MLFLOW_PORT', 5000)}")
        command = [*self.programs.own(release, "mlflow-ready"), "--host-header", host]
        command += ["--deadline", f"{self.settings.start_timeout:g}"]
        for name, value in journal.sample.items():
            command += [f"--{name}", value]
        self.programs.run(command, given, self.settings.start_timeout + LOOK_SECONDS)
        lost = upgrade_rules.lost(journal.counts, upgrade_rules.counts(self._stores(release)))
        if lost:
            raise StepError(f"of what the database held before there is only {lost}")


def _schema(libraries: Sequence[str], below: str) -> Schema:
    texts = []
    for path in sorted(path for library in libraries for path in glob.glob(f"{library}/{below}/*.py")):
        with open(path, encoding="utf-8") as stream:
            texts.append(stream.read())
    return upgrade_rules.schema(texts)


def _space(path: str) -> Space:
    """Return the space where ``path`` is or will be."""
    there = path
    while not os.path.exists(there):
        there = os.path.dirname(there)
    found = os.statvfs(there)
    return Space(path, found.f_bavail * found.f_frsize)


def _last_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return end(stream.read())
