# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-playbook says of its work: the recap, and at ``-vvv`` each trip to a host."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=\d+(?:\s+\w+=\d+)+)\s*$", re.MULTILINE)
_RESULT = re.compile(
    r"^(?:ok|changed|skipping|failed|fatal): \[(?P<host>[^] ]+)(?: -> [^]]*)?\](?P<item>(?:: FAILED!)? => \(item=)?"
)
_TRIP = re.compile(r"^<(?P<address>[^>]+)> SSH: EXEC ")


@dataclass(frozen=True)
class Recap:
    """How many tasks did what on one host; ``ok`` counts the changed ones too."""

    ok: int
    changed: int
    skipped: int
    failed: int
    unreachable: int

    @property
    def tasks(self) -> int:
        """How many tasks Ansible looked at for this host."""
        return self.ok + self.skipped


@dataclass(frozen=True)
class Trips:
    """How often Ansible went to one host.

    :ivar tasks: tasks that went there at least once.
    :ivar calls: calls of ssh in all.
    """

    tasks: int
    calls: int


def recaps(output: str) -> dict[str, Recap]:
    """Return the recap of each host.

    :raises ValueError: there is no recap.
    """
    found = {}
    for match in _RECAP.finditer(output):
        counts = dict(pair.split("=") for pair in match["counts"].split())
        names = ("ok", "changed", "skipped", "failed", "unreachable")
        found[match["host"]] = Recap(*(int(counts.get(name, 0)) for name in names))
    if not found:
        raise ValueError("ansible-playbook ended without a recap")
    return found


def trips(output: str, addresses: Mapping[str, str]) -> dict[str, Trips]:
    """Return the trips to each host; a task's trips stand before its result, whatever other hosts do meanwhile.

    :param output: of ``ansible-playbook -vvv``.
    :param addresses: host name -> the address Ansible connects to.
    """
    names = {address: name for name, address in addresses.items()}
    calls, tasks = Counter[str](), Counter[str]()
    went: set[str] = set()  # since the host's last result
    looping: set[str] = set()  # their last result was of an item
    for line in output.splitlines():
        trip, result = _TRIP.match(line), _RESULT.match(line)
        if trip and trip["address"] in names:
            name = names[trip["address"]]
            calls[name] += 1
            went.add(name)
        elif result:
            name, of_item = result["host"], bool(result["item"])
            # The items of a loop are one task.
            tasks[name] += name in went and not (of_item and name in looping)
            went.discard(name)
            (looping.add if of_item else looping.discard)(name)
    return {name: Trips(tasks=tasks[name], calls=calls[name]) for name in addresses}
