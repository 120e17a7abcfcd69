# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what Nomad's plan of a job says: whether it is a change, its lines, and why nothing could be placed.

Sources: nomad/structs/diff.go and scheduler/annotate.go of Nomad 2.0; command/job_plan.go renders the same for people.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

_NONE = "None"
_MARKS = {"Added": "+", "Deleted": "-", "Edited": "~"}
#: What the server keeps beside what was written; Nomad 2.0 leaves most of it out of a plan by itself.
_NOISE = frozenset(
    {
        "CreateIndex",
        "JobModifyIndex",
        "ModifyIndex",
        "NomadTokenID",
        "Stable",
        "Status",
        "StatusDescription",
        "SubmitTime",
        "Version",
    }
)
#: Keys of what a part of a job is made of, in Nomad's own order, and what a person calls each.
_PARTS = (("Objects", ""), ("TaskGroups", "group "), ("Tasks", "task "))
#: What Nomad calls a reason not to take a node, and what to do about it.
_ADVICE = (
    ("missing compatible host volumes", "configure the host volume on a node, as `nomad node status -verbose` shows"),
    ("missing drivers", "have the driver enabled and healthy on a node, as `nomad node status -verbose` shows"),
    ("memory", "ask for less memory, or free some on a node"),
    ("cpu", "ask for less cpu, or free some on a node"),
    ("disk", "ask for less disk, or free some on a node"),
    ("port", "free the static port on a node, or ask for another"),
    ("datacenter", "use a datacenter that has nodes"),
    ("node pool", "use a node pool that has nodes"),
)


def _fields(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the fields that differ and that somebody wrote."""
    return [one for one in part.get("Fields") or () if one["Type"] != _NONE and one["Name"] not in _NOISE]


def _parts(part: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, title in _PARTS:
        for one in part.get(key) or ():
            if is_change(one):
                yield title, one


def is_change(diff: Mapping[str, Any]) -> bool:
    """Whether a plan's ``Diff``, or a part of it, has anything that somebody wrote.

    A group counts as edited for Nomad even when only an index in it differs.
    """
    if diff["Type"] in ("Added", "Deleted"):
        return True
    return bool(_fields(diff)) or any(True for _part in _parts(diff))


def _notes(notes: Any) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _field(field: Mapping[str, Any], indent: str) -> Iterator[str]:
    old, new, mark = field["Old"], field["New"], _MARKS[field["Type"]]
    notes = _notes(field.get("Annotations"))
    if "\n" in old + new:
        yield f"{mark} {indent}{field['Name']}:{notes}"
        # Without its header of two file names.
        for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))[2:]:
            yield f"  {indent}  {line}"
        return
    shown = {"+": (new,), "-": (old,), "~": (old, new)}[mark]
    yield f"{mark} {indent}{field['Name']}: {' => '.join(json.dumps(one, ensure_ascii=False) for one in shown)}{notes}"


def _lines(title: str, part: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    updates = [f"{count} {what}" for what, count in sorted((part.get("Updates") or {}).items())]
    name = part.get("Name") or part.get("ID") or ""
    heading = f"{title}{json.dumps(name, ensure_ascii=False)}" if title else name
    yield f"{_MARKS.get(part['Type'], ' ')} {indent}{heading}{_notes(updates or part.get('Annotations'))}"
    for field in _fields(part):
        yield from _field(field, indent + "  ")
    for below, one in _parts(part):
        yield from _lines(below, one, depth + 1)


def render(diff: Mapping[str, Any]) -> str:
    """Return a plan's ``Diff`` as lines for a person, '' when it is no change."""
    return "".join(f"{line}\n" for line in _lines("job ", diff, 0)) if is_change(diff) else ""


def _counted(counts: Any, text: str) -> list[str]:
    return [text.format(name, count, "" if count == 1 else "s") for name, count in sorted((counts or {}).items())]


def _reasons(metrics: Mapping[str, Any]) -> list[str]:
    """Return why no node was taken, as Nomad's own command says it."""
    found = []
    if not metrics.get("NodesEvaluated"):
        found.append("no node was eligible")
    empty = [name for name, count in sorted((metrics.get("NodesAvailable") or {}).items()) if not count]
    found += [f'no node is available in the datacenter "{name}"' for name in empty]
    if metrics.get("NodePool") and not metrics.get("NodesInPool"):
        found.append(f'no node is in the node pool "{metrics["NodePool"]}"')
    found += _counted(metrics.get("ConstraintFiltered"), '{1} node{2} excluded: "{0}"')
    found += _counted(metrics.get("ClassFiltered"), '{1} node{2} of the class "{0}" excluded')
    found += _counted(metrics.get("DimensionExhausted"), '{1} node{2} without enough left: "{0}"')
    found += [f"the quota is used up: {name}" for name in metrics.get("QuotaExhausted") or ()]
    return found


def unplaced(failed: Any) -> list[str]:
    """Return why groups could not be placed, a line for each; ``failed`` is Nomad's ``FailedTGAllocs``."""
    return [f'group "{group}": {"; ".join(_reasons(metrics))}' for group, metrics in sorted((failed or {}).items())]


def advice(reasons: list[str]) -> str:
    """Return what to do about the lines of ``unplaced``."""
    text = "\n".join(reasons)
    known = [remedy for word, remedy in _ADVICE if word in text]
    return "; ".join(known) or "see `nomad node status` for nodes that are ready and eligible"
