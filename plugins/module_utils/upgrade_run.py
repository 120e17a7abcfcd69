# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of the server from its preflight to its end, and what is said of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, upgrade_journal, upgrade_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_host import Host, Look
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import Journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_programs import RefusedError, StepError


@dataclass(frozen=True)
class Outcome:
    """What was, or would be, done.

    ``before`` and ``after`` are texts for a diff, ``recovered`` says how an interrupted upgrade ended first.
    ``downtime`` is in seconds.  ``postponed`` says that nothing was looked at before the new settings are written.
    """

    changed: bool
    previous: Optional[str]
    before: str
    after: str
    upgraded: bool = False
    migrated: bool = False
    backup: str = ""
    log: str = ""
    downtime: float = 0.0
    recovered: str = ""
    postponed: bool = False


class FailedError(Exception):
    """The upgrade did not succeed; ``journal`` is where it ended."""

    def __init__(self, message: str, journal: Journal) -> None:
        super().__init__(message)
        self.journal = journal


def current(host: Host) -> Optional[str]:
    """Return the release in use, None where there is none that works."""
    state = releases.scan(host.layout)
    return state.current if state.current in state.complete else None


def run(host: Host, target: str, always_look: bool) -> Outcome:
    """Have ``target`` in use with a database that fits it.

    ``always_look`` asks the database also while the service runs with the same release.  Raises RefusedError when
    nothing was begun, FailedError when it went back, StepError when nothing is known.
    """
    host.programs.lock()
    recovered = _recover(host)
    source = current(host)
    if source is None or not host.configured:
        return _first(host, source, target, recovered)
    if source == target and not always_look:
        # The settings in place may be why it does not run.
        return Outcome(bool(recovered), source, "", "", recovered=recovered, postponed=not host.running())
    # By the new release, which may lack a driver that the old one has.
    look = host.look(target, target)
    if source == target and not look.behind:
        held = os.path.exists(host.hold)
        host.release_hold()
        return Outcome(held or bool(recovered), source, "", "", recovered=recovered)
    if not look.behind and not upgrade_rules.fits(look.stores, host.wanted(source)):
        return _follow(host, source, target, look, recovered)
    _preflight(host, source, target, look)
    journal = _journal(host, source, target, look)
    end = _to_the_end(host, journal)
    if end.step == upgrade_journal.ROLLED_BACK:
        raise FailedError(rolled_back(end, host.hold), end)
    return Outcome(
        changed=True,
        previous=source,
        before=upgrade_rules.describe(source, look.stores),
        after=upgrade_rules.describe(target, look.stores, look.wanted),
        upgraded=True,
        migrated=end.migrates,
        backup=end.backup,
        log=end.log,
        downtime=round(time.time() - end.stopped_at, 1),
        recovered=recovered,
    )


def hold(host: Host, target: str, check_mode: bool) -> Outcome:
    """Stop a server whose database is to be migrated, and keep it from starting, for it may not be the only one."""
    if not check_mode:
        host.programs.lock()
        _recover(host)
    source = current(host)
    if source in (None, target) or source is None or not host.configured or not host.equipped:
        return Outcome(False, source, "", "")
    look = host.look(source, target)
    due = bool(look.behind)
    if due and not check_mode:
        _preflight(host, source, target, look)
        host.stop()
    return Outcome(
        due, source, "server: runs\n", "server: stopped until one has migrated the database\n" if due else ""
    )


def predict(host: Host, target: str, built: bool, always_look: bool) -> Outcome:
    """Return what ``run`` would do, as far as that can be known before ``target`` is built; changes nothing."""
    source = current(host)
    journal = upgrade_journal.read(host.layout.journal)
    if journal is not None and not journal.finished:
        interrupted = f"interrupted at the step '{journal.step}'"
        return Outcome(True, source, f"upgrade to {journal.target}: {interrupted}\n", f"release: {target}\n")
    if source is None or not host.configured:
        return Outcome(source != target, source, f"release: {source or 'none'}\n", f"release: {target}\n")
    if source == target and not always_look and host.running():
        return Outcome(False, source, "", "")
    if not host.equipped:
        return Outcome(True, source, f"release: {source}\n", f"release: {target}\n")
    look = host.look(target if built else source, target)
    if source == target and not look.behind:
        return Outcome(os.path.exists(host.hold), source, "", "")
    if built:
        _preflight(host, source, target, look)
        after = upgrade_rules.describe(target, look.stores, look.wanted)
    else:
        after = f"release: {target}\n" + "".join(
            f"{store.name} schema: what MLflow {upgrade_rules.version(target)} wants\n" for store in look.stores
        )
    return Outcome(True, source, upgrade_rules.describe(source, look.stores), after, True, bool(look.behind))


def _recover(host: Host) -> str:
    """Bring an interrupted upgrade to an end, and return how it ended."""
    journal = upgrade_journal.read(host.layout.journal)
    if journal is None or journal.finished:
        return ""
    interrupted = f"the upgrade to {journal.target} that was interrupted at the step '{journal.step}'"
    end = _to_the_end(host, journal.resumed())
    return f"{interrupted} {'is done' if end.step == upgrade_journal.DONE else 'was taken back'}"


def _to_the_end(host: Host, journal: Journal) -> Journal:
    try:
        return host.carry_out(journal)
    except StepError as error:
        left = upgrade_journal.read(host.layout.journal) or journal
        raise FailedError(stuck(left, host.hold, str(error)), left) from None


def _first(host: Host, source: Optional[str], target: str, recovered: str) -> Outcome:
    """Switch where no server has run yet."""
    if source != target:
        host.activate(target)
    changed = source != target or bool(recovered)
    after = f"release: {target}\n"
    return Outcome(changed, source, f"release: {source or 'none'}\n", after, recovered=recovered)


def _follow(host: Host, source: str, target: str, look: Look, recovered: str) -> Outcome:
    """Switch after another server has migrated the database: the release that was in use does not fit it any more."""
    began = time.time()
    _preflight(host, source, target, look)
    host.stop()
    host.activate(target)
    host.start()
    before = upgrade_rules.describe(source, look.stores)
    after = upgrade_rules.describe(target, look.stores)
    downtime = round(time.time() - began, 1)
    return Outcome(True, source, before, after, upgraded=True, downtime=downtime, recovered=recovered)


def _preflight(host: Host, source: str, target: str, look: Look) -> None:
    settings = host.settings
    problems: list[Problem] = []
    problems += upgrade_rules.revision_problems(look.stores, look.wanted, source, target, settings.backups)
    if look.behind:
        problems += [store.cannot_dump for store in look.stores if store.cannot_dump]
        problems += upgrade_rules.space_problems(look.stores, *host.spaces(look.stores))
    if problems:
        raise RefusedError(problems)


def _journal(host: Host, source: str, target: str, look: Look) -> Journal:
    names = f"{upgrade_rules.version(source)}-to-{upgrade_rules.version(target)}"
    name = f"{host.settings.backups}/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{names}"
    used = any(store.revision is not None for store in look.stores if store.name == "tracking")
    return Journal(
        source=source,
        target=target,
        migrates=bool(look.behind),
        backup=name if look.behind else "",
        log=f"{name}.log",
        counts=upgrade_rules.counts(look.stores),
        sample=host.sample(source) if used else {},
    )


def _title(journal: Journal) -> str:
    versions = [upgrade_rules.version(release) for release in (journal.source, journal.target)]
    if versions[0] != versions[1]:
        return f"The upgrade from MLflow {versions[0]} to {versions[1]}"
    same = journal.source == journal.target
    return "The migration of the database" if same else f"The change of packages of MLflow {versions[0]}"


def _places(journal: Journal) -> list[str]:
    kept = f"{journal.backup}-kept"
    return [
        f"    log: {journal.log}",
        *([f"    backup: {journal.backup}"] if os.path.isdir(journal.backup) else []),
        *([f"    what the new release had written: {kept}"] if os.path.isdir(kept) else []),
    ]


def rolled_back(journal: Journal, hold: str) -> str:
    """Return what to say of an upgrade that has been taken back."""
    same = journal.source == journal.target
    now = (
        f"the database is as it was, and the server is stopped: this release would migrate it as it starts ({hold})"
        if same
        else f"{upgrade_rules.version(journal.source)} answers again, with the database as it was"
    )
    lines = [
        f"{_title(journal)} failed at the step '{journal.reached}' and was taken back: {now}.",
        f"    reason: {journal.reason}",
        *_places(journal),
        "    next: mend the reason and run the play again"
        + ("" if same else f", or set mlflow_server_version to {upgrade_rules.version(journal.source)}"),
    ]
    return "\n".join(lines)


def stuck(journal: Journal, hold: str, error: str) -> str:
    """Return what to say of an upgrade that could not be taken back."""
    lines = [
        f"{_title(journal)} failed at the step '{journal.reached}', and could not be taken back.",
        f"    reason: {journal.reason}",
        f"    then: {error}",
        *_places(journal),
        f"    now: the server does not answer; {hold}, where it is there, keeps it from starting",
        "    next: mend what stands after 'then' and run the play again: it goes on with that step",
        "    by hand: section Upgrades of the README of mlflow_server",
    ]
    return "\n".join(lines)
