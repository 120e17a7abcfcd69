# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of site.yml that has nothing to change, against one that only gathers facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bench.hosts import ROOT, SITE, Hosts, Stopwatch
from bench.numbers import Measure
from bench.recap import Recap, Trips, recaps, trips
from lab.base import LabError

GROUPS = {"mlflow_nfs_server": ["nas"], "mlflow_server": ["server"], "mlflow_clients": ["client"]}
NAMES = tuple(name for members in GROUPS.values() for name in members)
FACTS = ROOT / "bench/facts.yml"
GOAL = 5.0


def variables() -> dict[str, Any]:
    """Return what the demo says of its hosts."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "molecule/demo/uml.yml").read_text())["all"]["vars"]
    return found


def deploy(hosts: Hosts) -> Path:
    """Deploy as the demo does, and return the inventory."""
    for name in NAMES:
        hosts.refresh(name)
    # People have their accounts before MLflow comes.
    for user in variables()["mlflow_users"]:
        hosts.execute("client", f"id {user} || useradd --create-home {user}")
    inventory = hosts.inventory(GROUPS, variables())
    hosts.play(SITE, inventory)
    return inventory


def count(hosts: Hosts, inventory: Path) -> tuple[dict[str, Recap], dict[str, Trips]]:
    """Count tasks and trips of a run that may change nothing; its time doesn't count, because it talks so much.

    :raises LabError: it changed something.
    """
    output = hosts.play(SITE, inventory, "-vvv")
    found = recaps(output)
    changed = {name: recap.changed for name, recap in found.items() if recap.changed}
    if changed:
        raise LabError(f"a second run of site.yml changed something: {changed}")
    return found, trips(output, {name: hosts.address(name) for name in found})


def sample(hosts: Hosts, inventory: Path, swapped: bool) -> tuple[float, float]:
    """Run both playbooks, one after the other; return the seconds of (ours, facts).

    :param swapped: facts first.
    """
    seconds = {}
    for playbook in (FACTS, SITE) if swapped else (SITE, FACTS):
        with Stopwatch() as watch:
            hosts.play(playbook, inventory)
        seconds[playbook] = watch.seconds
    return seconds[SITE], seconds[FACTS]


def measure(pairs: Sequence[tuple[float, float]], found: Mapping[str, Recap], went: Mapping[str, Trips]) -> Measure:
    """Compare the times, and tell how much each host was asked."""
    details: dict[str, float | str] = {
        name: f"{recap.tasks} tasks, {recap.skipped} of them skipped; "
        f"{went[name].tasks} go to the host, in {went[name].calls} calls of ssh"
        for name, recap in found.items()
    }
    return Measure(
        name="no_change",
        what="run on nas, server and client that changes nothing",
        unit="s",
        ours="site.yml",
        theirs="a playbook that only gathers the facts",
        pairs=tuple(pairs),
        goal=GOAL,
        details=details,
    )
