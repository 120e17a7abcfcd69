# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far an upgrade of the server has come, in a file that outlives whoever carries it out.

The step stands in the file before it is begun, and every step can be done again, so that
whoever finds the file knows what may have happened:

    stop, dump, migrate, switch      the old release may no longer fit the database: it goes back
    start, verify                    the database fits the new release: it goes on
    back_…                           it goes on going back
    done, rolled_back                nothing is left to do

Which steps there are, ``Journal.steps`` says; what they do, upgrade_host.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import whole_file

FORWARD = ("stop", "dump", "migrate", "switch", "start", "verify")
BACK = ("back_stop", "back_keep", "back_restore", "back_switch", "back_start", "back_verify")
DONE = "done"
ROLLED_BACK = "rolled_back"
FORMAT = 1


@dataclass(frozen=True)
class Journal:
    """One upgrade.

    ``source`` and ``target`` are releases, the same where only the schema is behind.  ``migrates`` says that
    the database is to change, ``backup`` is the directory of its dump, ``log`` the file that says what happened.
    ``counts`` and ``sample`` are what must be found again, ``reached`` is the last step forward that was begun,
    ``reason`` why it goes back.  ``stopped_at`` is when the server stopped, in seconds since 1970.
    """

    source: str
    target: str
    migrates: bool
    backup: str
    log: str
    step: str = FORWARD[0]
    reached: str = FORWARD[0]
    reason: str = ""
    stopped_at: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    sample: Mapping[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.step in (DONE, ROLLED_BACK)

    @property
    def goes_back(self) -> bool:
        """Whether it is on its way back, or has come back."""
        return self.step in (*BACK, ROLLED_BACK)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps of the way that it is on, without those that have nothing to do, and its end."""
        if self.goes_back:
            return (*(step for step in BACK if self._needed(step)), ROLLED_BACK)
        return (*(step for step in FORWARD if self.migrates or step not in ("dump", "migrate")), DONE)

    def _needed(self, step: str) -> bool:
        begun = FORWARD.index(self.reached)
        return {
            # Whatever clients have written since the new release was started.
            "back_keep": self.migrates and begun >= FORWARD.index("start"),
            "back_restore": self.migrates and begun >= FORWARD.index("migrate"),
            "back_switch": begun >= FORWARD.index("switch"),
            # There is no older release to go back to: this one would migrate again as it starts.
            "back_start": self.source != self.target,
            "back_verify": self.source != self.target,
        }.get(step, True)

    def advanced(self) -> Journal:
        """Return the journal at the step that follows; the end stays the end."""
        if self.finished:
            return self
        step = self.steps[self.steps.index(self.step) + 1]
        return replace(self, step=step, reached=step if step in FORWARD else self.reached)

    def failed(self, reason: str) -> Journal:
        """Return the journal on its way back; one that is on it already stays at its step."""
        return self if self.goes_back else replace(self, step=BACK[0], reason=reason)

    def resumed(self) -> Journal:
        """Return where to go on after whoever carried it out was killed at ``step``."""
        if self.step == "verify":
            # The host may have gone down as well, and a service that is up stays up.
            return replace(self, step="start")
        if self.step in FORWARD[: FORWARD.index("start")]:
            return self.failed(f"it was interrupted at the step '{self.step}'")
        return self


def read(path: str) -> Optional[Journal]:
    """Return the journal, None when there is none.

    Raises ValueError for a file that is not ours: nobody knows then what may have happened.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    known = {entry.name for entry in fields(Journal)}
    if not isinstance(found, dict) or found.get("format") != FORMAT or not known <= set(found):
        raise ValueError(f"{path} is no journal of an upgrade that this version of the collection can read")
    return Journal(**{name: found[name] for name in known})


def write(path: str, journal: Journal) -> None:
    """Replace the journal in one step; it is on the disk when this returns."""
    text = {
        "format": FORMAT,
        # Read by locked_virtualenv, which removes old releases.
        "needs": [] if journal.finished else sorted({journal.source, journal.target}),
        **asdict(journal),
    }
    whole_file.write(path, json.dumps(text, indent=2, sort_keys=True) + "\n")
