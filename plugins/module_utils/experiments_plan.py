# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which steps bring the experiments of a tracking server to what is wished, and what no step can bring about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri, experiment_location
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

CREATE, RESTORE, SET_TAG, DELETE_TAG, DELETE = ("create", "restore", "set_tag", "delete_tag", "delete")
#: Tags that begin so are MLflow's own, and its pages need some of them.
OWN_TAGS = "mlflow."
_SHOWN = 100


@dataclass(frozen=True)
class Wished:
    """An experiment as wished; ``location`` is '' where that is left to the server."""

    name: str
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    purge_tags: bool = False
    restore: bool = False
    present: bool = True


@dataclass(frozen=True)
class Found:
    """An experiment as the server has it."""

    number: str
    name: str
    location: str
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


#: What the server has, by the name that it was asked for.
Present = Mapping[str, Found]


@dataclass(frozen=True)
class Step:
    """One change; which of the other fields it has depends on ``action``."""

    action: str
    name: str
    number: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    value: str = ""


def _location_differs(wished: Wished, found: Found) -> Problem:
    stored = artifact_uri.parse(found.location).shown
    return Problem(
        f"the experiment {wished.name!r} ({found.number}) keeps its artifacts at {stored}, and not at {wished.location}",
        "MLflow chooses the place when an experiment is made and has no call that changes it; its runs are there",
        "leave artifact_location out or write the stored one; to move everything from one artifact root to another, "
        "change mlflow_artifact_root or mlflow_artifact_access and run the playbook selfhosted.mlflow.move_artifacts; "
        "or log into an experiment of another name from now on",
    )


def _of_present(wished: Wished, found: Found) -> Iterator[Problem]:
    if found.name != wished.name:
        yield Problem(
            f"the experiment {wished.name!r} is called {found.name!r} by the server, whose database takes both for one",
            "clients ask for a name as it is written, and this database could not hold both",
            f"write {found.name!r}",
        )
    elif wished.present and wished.location and not experiment_location.same(wished.location, found.location):
        yield _location_differs(wished, found)
    if wished.present and found.deleted and not wished.restore:
        yield Problem(
            f"the experiment {wished.name!r} ({found.number}) was deleted, and MLflow keeps its name",
            "another one of that name can't be made as long as it is there, and somebody meant it to be gone",
            "write restore: true to have it back with all its runs, those that were deleted one by one included; or "
            "choose another name; or have it removed for good by the role mlflow_gc",
        )


def conflicts(wished: Sequence[Wished], present: Present) -> list[Problem]:
    """Return what the server has in the way of the wishes."""
    return [problem for one in wished if one.name in present for problem in _of_present(one, present[one.name])]


def _of_tags(wished: Wished, found: Found) -> Iterator[Step]:
    for key, value in sorted(wished.tags.items()):
        if found.tags.get(key) != value:
            yield Step(SET_TAG, wished.name, found.number, key=key, value=value)
    if wished.purge_tags:
        for key in sorted(set(found.tags) - set(wished.tags)):
            if not key.startswith(OWN_TAGS):
                yield Step(DELETE_TAG, wished.name, found.number, key=key)


def _of(wished: Wished, found: Found) -> Iterator[Step]:
    if wished.present:
        if found.deleted:
            yield Step(RESTORE, wished.name, found.number)
        yield from _of_tags(wished, found)
    elif not found.deleted:
        yield Step(DELETE, wished.name, found.number)


def plan(wished: Sequence[Wished], present: Present) -> list[Step]:
    """Return the steps in their order.

    What the server may still refuse comes first: new ones, and of these the ones at hosts that it may not know.
    """
    new = [one for one in wished if one.present and one.name not in present]
    new.sort(key=lambda one: artifact_uri.parse(one.location).kind != artifact_uri.REMOTE)
    steps = [Step(CREATE, one.name, location=one.location, tags=dict(one.tags)) for one in new]
    return steps + [step for one in wished if one.name in present for step in _of(one, present[one.name])]


def _line(name: str, key: str, value: str) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return f"experiment {name}: {key} = {text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}"


def shown(present: Present, steps: Sequence[Step]) -> tuple[str, str]:
    """Return what the steps touch, before and after, for a diff."""
    before: dict[tuple[str, str], str] = {}
    after: dict[tuple[str, str], str] = {}
    for step in steps:
        itself, tag = (step.name, ""), (step.name, step.key)
        there, gone = f"experiment {step.name}", f"experiment {step.name} (deleted)"
        if step.action == CREATE:
            after[itself] = there + (f" at {step.location}" if step.location else "")
            after.update({(step.name, key): _line(step.name, key, value) for key, value in step.tags.items()})
        elif step.action in (RESTORE, DELETE):
            before[itself], after[itself] = (gone, there) if step.action == RESTORE else (there, gone)
        else:
            known = present[step.name].tags.get(step.key)
            if known is not None:
                before[tag] = _line(step.name, step.key, known)
            if step.action == SET_TAG:
                after[tag] = _line(step.name, step.key, step.value)
    before_text, after_text = ("".join(f"{side[key]}\n" for key in sorted(side)) for side in (before, after))
    return before_text, after_text
