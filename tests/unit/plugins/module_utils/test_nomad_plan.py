"""What a plan of Nomad's says; the objects are as Nomad 2.0 answers them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_plan


def field(kind: str, name: str, old: str = "", new: str = "", notes: Any = None) -> dict[str, Any]:
    return {"Type": kind, "Name": name, "Old": old, "New": new, "Annotations": notes}


def part(kind: str, name: str, *fields: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"Type": kind, "Name": name, "Fields": list(fields) or None, "Objects": None, **parts}


def plan(kind: str = "Edited", *fields: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {"Type": kind, "ID": "mlflow", "Fields": list(fields) or None, "Objects": None, "TaskGroups": None, **parts}


SAME = field("None", "Type", "service", "service")
TASK = part(
    "Edited",
    "server",
    Annotations=["forces create/destroy update"],
    Objects=[
        part("Edited", "Config", field("Edited", "image", "a", "b"), field("None", "network", "host", "host")),
        part("None", "Resources", field("None", "CPU", "1", "1")),
    ],
)
GROUP = part("Edited", "g", Tasks=[TASK], Updates={"create/destroy update": 1, "ignore": 2})


@pytest.mark.parametrize(
    ("diff", "change"),
    [
        (plan("None"), False),
        (plan("None", SAME, TaskGroups=[part("None", "g", SAME)]), False),
        (plan("Added"), True),
        (plan("Edited", field("Edited", "Priority", "50", "60")), True),
        (plan("Edited", field("Edited", "Stop", "true", "false")), True),
        (plan("Edited", field("Edited", "JobModifyIndex", "7", "8")), False),
        (plan("Edited", field("Edited", "NomadTokenID", "7", "8")), False),
        (
            plan(
                "Edited", SAME, TaskGroups=[part("Edited", "g", Tasks=[part("None", "t", SAME)], Updates={"ignore": 1})]
            ),
            False,
        ),
        (
            plan(
                "Edited",
                TaskGroups=[
                    part("Edited", "g", Objects=[part("Edited", "o", field("Edited", "ModifyIndex", "", "1"))])
                ],
            ),
            False,
        ),
        (plan("Edited", TaskGroups=[part("Deleted", "g")]), True),
        (plan("Edited", TaskGroups=[part("Edited", "g", Objects=[part("Added", "Volume")])]), True),
        (plan("Edited", TaskGroups=[GROUP]), True),
    ],
)
def test_what_is_a_change(diff: dict[str, Any], change: bool) -> None:
    assert nomad_plan.is_change(diff) is change
    assert bool(nomad_plan.render(diff)) is change


def test_shows_what_differs_and_nothing_else() -> None:
    assert nomad_plan.render(plan("Edited", SAME, TaskGroups=[GROUP])) == (
        '~ job "mlflow"\n'
        '~   group "g" (1 create/destroy update, 2 ignore)\n'
        '~     task "server" (forces create/destroy update)\n'
        "~       Config\n"
        '~         image: "a" => "b"\n'
    )


def test_shows_added_and_deleted_fields_with_their_notes() -> None:
    fields = (field("Added", "Count", "", "2", ["forces create"]), field("Deleted", "Meta[x]", "é", ""))
    assert nomad_plan.render(plan("Edited", *fields)) == (
        '~ job "mlflow"\n+   Count: "2" (forces create)\n-   Meta[x]: "é"\n'
    )


def test_shows_a_text_of_many_lines_as_its_differences() -> None:
    old = "".join(f"line {number}\n" for number in range(9))
    shown = nomad_plan.render(plan("Edited", field("Edited", "EmbeddedTmpl", old, old.replace("line 4", "other"))))
    assert shown.splitlines()[1:] == [
        "~   EmbeddedTmpl:",
        *(
            "      " + line
            for line in ("@@ -3,5 +3,5 @@", " line 2", " line 3", "-line 4", "+other", " line 5", " line 6")
        ),
    ]


@pytest.mark.parametrize(
    ("metrics", "reason", "advised"),
    [
        (
            {"NodesEvaluated": 1, "ConstraintFiltered": {"missing compatible host volumes": 2}},
            "2 nodes excluded",
            "host volume",
        ),
        (
            {"NodesEvaluated": 1, "ConstraintFiltered": {"missing drivers": 1}},
            '1 node excluded: "missing drivers"',
            "driver",
        ),
        ({"NodesEvaluated": 1, "DimensionExhausted": {"memory": 1}}, 'enough left: "memory"', "less memory"),
        ({"NodesEvaluated": 1, "DimensionExhausted": {"network: port collision": 1}}, "port collision", "static port"),
        (
            {"NodesEvaluated": 0, "NodesAvailable": {"dc9": 0}},
            'no node is available in the datacenter "dc9"',
            "datacenter",
        ),
        ({"NodesEvaluated": 0, "NodePool": "gpu", "NodesInPool": 0}, 'no node is in the node pool "gpu"', "node pool"),
        ({"NodesEvaluated": 0}, "no node was eligible", "nomad node status"),
        ({"NodesEvaluated": 1, "ClassFiltered": {"big": 1}}, 'of the class "big" excluded', "nomad node status"),
        ({"NodesEvaluated": 1, "QuotaExhausted": ["memory"]}, "the quota is used up: memory", "memory"),
    ],
)
def test_says_why_nothing_could_be_placed(metrics: dict[str, Any], reason: str, advised: str) -> None:
    (line,) = nomad_plan.unplaced({"g": metrics})
    assert line.startswith('group "g": ')
    assert reason in line
    assert advised in nomad_plan.advice([line])


@pytest.mark.parametrize("failed", [None, {}])
def test_nothing_failed_to_be_placed(failed: Any) -> None:
    assert nomad_plan.unplaced(failed) == []
