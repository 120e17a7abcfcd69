# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stored locations mean: which directories are to be proved besides the root, and what to do about each."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.stored_locations import Experiment, Group, Locations

#: A group's runs are counted up to here.
RUNS_COUNTED = 5000
_NAMED = 5
_LISTED = 50


@dataclass(frozen=True)
class Runs:
    """The runs of a group, deleted ones too: ``total``, or more than that when ``more``.

    ``of`` has the number by experiment, ``examples`` are some ids.
    """

    total: int = 0
    more: bool = False
    of: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.more:
            return f"more than {self.total} runs"
        return f"{self.total} run{'' if self.total == 1 else 's'}"


@dataclass(frozen=True)
class Audit:
    """What the server said.

    ``runs`` are by the root of their group; a group that is missing could not be counted.
    ``refusal`` is why the server doesn't hand out proxied artifacts, '' when it does.
    ``administrator`` is whether the account is one, None when the server doesn't tell.
    """

    locations: Locations
    runs: Mapping[str, Runs] = field(default_factory=dict)
    refusal: str = ""
    administrator: Optional[bool] = None


def to_prove(locations: Locations, limit: int) -> tuple[list[Group], list[Group]]:
    """Return the groups whose root must be proved besides, and those beyond ``limit``.

    Those of deleted experiments alone need no proof: nobody writes there, and many are gone.
    """
    alive = [group for group in locations.elsewhere if group.alive]
    return alive[:limit], alive[limit:]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:_NAMED]) + (f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else "")


def _count(experiments: Sequence[Experiment]) -> str:
    deleted = sum(one.deleted for one in experiments)
    some = f" ({deleted} of them deleted)" if deleted else ""
    return f"{len(experiments)} experiment{'' if len(experiments) == 1 else 's'}{some}"


def _who(experiments: Sequence[Experiment]) -> str:
    return _some(f"{one.name!r} ({one.number})" for one in experiments)


def _evidence(group: Group, runs: Optional[Runs]) -> dict[str, Any]:
    return {
        "root": group.root,
        "kind": group.kind,
        "experiment_count": len(group.experiments),
        "experiments": [
            {
                "id": one.number,
                "name": one.name,
                "deleted": one.deleted,
                "location": one.location.shown,
                "runs": runs.of.get(one.number, 0) if runs else None,
            }
            for one in group.experiments[:_LISTED]
        ],
        "runs": runs.total if runs else None,
        "runs_more": bool(runs and runs.more),
        "run_ids": list(runs.examples) if runs else [],
    }


def _holding(runs: Optional[Runs]) -> str:
    if runs is None:
        return "how many runs are in them could not be asked"
    example = f", such as {runs.examples[0]}" if runs.examples else ""
    return f"{runs} in them{example}"


def _elsewhere(group: Group, runs: Optional[Runs], root: str) -> Finding:
    fullest = sorted(group.experiments, key=lambda one: -(runs.of.get(one.number, 0) if runs else 0))
    found = f"stored in {group.root}, outside of {root}: {_count(group.experiments)}, {_who(fullest)}"
    evidence = _evidence(group, runs)
    if not group.alive:
        message = f"{found}; {_holding(runs)}. Deleted ones matter when they are restored"
        return Finding("stored_elsewhere", INFO, message, "before you restore one, have that directory", evidence)
    # Below the new root it keeps its whole path, so that two old roots never meet.
    source, target = shlex.quote(group.root), shlex.quote(f"{root}/moved{group.root}")
    return Finding(
        "stored_elsewhere",
        WARNING,
        f"{found}; {_holding(runs)}. MLflow keeps the place chosen when an experiment is made, "
        "and goes on writing its new runs there. That directory is proved as well",
        f"nothing, if the proof of {group.root} passes. Otherwise mount it at that path on every host, or bring it "
        f"here: on the server `mkdir -p {target} && rsync -aHAX {source}/ {target}/`, then on every host "
        f"`mv {source} {source}.old` (where it exists) and `ln -s {target} {source}`",
        evidence,
    )


def _beyond(groups: Sequence[Group], limit: int) -> Iterable[Finding]:
    if groups:
        count = sum(len(group.experiments) for group in groups)
        yield Finding(
            "stored_not_proved",
            WARNING,
            f"{len(groups)} further directories, of {count} experiments, are not proved, for the limit is {limit}: "
            f"{_some(group.root for group in groups)}",
            "raise mlflow_artifact_check_stored_roots, or give such experiments a common directory",
            {"roots": [group.root for group in groups[:_LISTED]], "count": len(groups)},
        )


def _unusable(group: Group, runs: Optional[Runs]) -> Finding:
    where = _some(sorted({one.location.shown or "nothing" for one in group.experiments}))
    return Finding(
        "stored_unusable",
        ERROR if group.alive else WARNING,
        f"stored in no place that hosts can share, {where} ({group.root}): {_count(group.experiments)}, "
        f"{_who(group.experiments)}; {_holding(runs)}",
        "log into new experiments, whose location is then right, and delete these; what was logged lies on the hosts "
        "that logged it, below the directory that the program was started in",
        _evidence(group, runs),
    )


def _remote(group: Group) -> Finding:
    known = all(one.location.known for one in group.experiments)
    missing = "" if known else ". MLflow itself has no store for it: every host needs a plug-in"
    return Finding(
        "stored_remote",
        INFO if known else WARNING,
        f"stored at {group.root}, the same place for every host: {_count(group.experiments)}{missing}",
        "to prove that clients reach it, set mlflow_artifact_check_end_to_end: true",
        _evidence(group, None),
    )


def _proxied(group: Group, refusal: str) -> Finding:
    found = f"stored through the server ({group.root}): {_count(group.experiments)}"
    if not (refusal and group.alive):
        return Finding("stored_proxied", INFO, found, "", _evidence(group, None))
    return Finding(
        "stored_proxied",
        ERROR,
        f"{found}, {_who(group.experiments)}. Nobody can read or write these artifacts, for the server serves none: "
        f"{refusal}",
        "set MLFLOW_SERVE_ARTIFACTS: true and MLFLOW_ARTIFACTS_DESTINATION in mlflow_server_environment, "
        "which is needed after a change to direct access as well",
        _evidence(group, None),
    )


def _odd(experiments: Sequence[Experiment]) -> Iterable[Finding]:
    odd = [one for one in experiments if one.location.indirect and not one.deleted]
    if odd:
        yield Finding(
            "stored_indirect",
            WARNING,
            f"stored with '..' on the way, which each host follows by links of its own: {_count(odd)}, "
            f"{_some(one.location.shown for one in odd)}; only the path without it is proved",
            "log into new experiments, whose location is plain",
            {"experiments": [{"id": one.number, "location": one.location.shown} for one in odd[:_LISTED]]},
        )


def _seen(audit: Audit, account: str, root: str) -> Iterable[Finding]:
    """Yield what the account could not see, and what is as it should be."""
    found = audit.locations
    groups = (*found.elsewhere, *found.proxied, *found.remote, *found.unusable)
    if not groups and not found.inside:
        yield Finding(
            "no_experiments_visible",
            ERROR,
            f"the server shows {account} no experiment at all, not even its default one: "
            "an account without permissions sees none, so that this proves nothing",
            "use the account of an administrator of MLflow (username and password, or token)",
            {"account": account},
        )
    if audit.administrator is False:
        yield Finding(
            "partial_view",
            WARNING,
            f"{account} is not an administrator of MLflow, so that experiments it may not read are missing here",
            "use the account of an administrator of MLflow (username and password, or token)",
            {"account": account},
        )
    if found.inside:
        message = f"stored in {root}: {_count(found.inside)}"
        yield Finding("stored_in_root", INFO, message, "", {"root": root, "experiment_count": len(found.inside)})


def judge(audit: Audit, account: str, root: str, limit: int) -> list[Finding]:
    """Return the findings about all stored locations.

    ``account`` is whom the server was asked as, in words; ``root`` the directory proved anyway, ``limit``
    how many further ones are.
    """
    locations = audit.locations
    beyond = to_prove(locations, limit)[1]
    left_out = {group.root for group in beyond}
    findings = list(_seen(audit, account, root))
    findings += [
        _elsewhere(group, audit.runs.get(group.root), root)
        for group in locations.elsewhere
        if group.root not in left_out
    ]
    findings += _beyond(beyond, limit)
    findings += [_unusable(group, audit.runs.get(group.root)) for group in locations.unusable]
    local = [*locations.inside, *(one for group in locations.elsewhere for one in group.experiments)]
    findings += _odd(local)
    findings += [_proxied(group, audit.refusal) for group in locations.proxied]
    findings += [_remote(group) for group in locations.remote]
    return findings


def summary(audit: Audit, root: str) -> list[dict[str, Any]]:
    """Return the number of experiments and runs by place, for programs."""
    locations = audit.locations
    groups = [*locations.elsewhere, *locations.proxied, *locations.remote, *locations.unusable]
    if locations.inside:
        groups.insert(0, Group("local", root, locations.inside))
    counts = []
    for group in groups:
        runs = audit.runs.get(group.root)
        counts.append(
            {
                "kind": group.kind,
                "root": group.root,
                "experiments": len(group.experiments),
                "deleted": len(group.experiments) - len(group.alive),
                "runs": runs.total if runs else None,
                "runs_more": bool(runs and runs.more),
            },
        )
    return counts
