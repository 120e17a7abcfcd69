"""Which experiments belong to which place, and which directories must be proved besides the root."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri, stored_locations
from ansible_collections.selfhosted.mlflow.plugins.module_utils.stored_locations import Experiment, Group, group


def listed(number: str, location: str | None, **more: Any) -> Experiment:
    return stored_locations.experiment(
        {"experiment_id": number, "name": f"e{number}", "artifact_location": location, **more}
    )


def shown(groups: tuple[Group, ...]) -> list[tuple[str, list[str]]]:
    return [(one.root, [member.number for member in one.experiments]) for one in groups]


@pytest.mark.parametrize(
    ("locations", "elsewhere"),
    [
        # What the server chose for itself, under a root it had before.
        ([("7", "/old/root/7"), ("8", "/old/root/8")], [("/old/root", ["7", "8"])]),
        ([("7", "file:///old/root/7"), ("8", "/old//root/8/")], [("/old/root", ["7", "8"])]),
        # A location of its own is its own root, also when it ends in another one's number.
        ([("7", "/data/mine")], [("/data/mine", ["7"])]),
        ([("7", "/data/8")], [("/data/8", ["7"])]),
        ([("7", "/data/17")], [("/data/17", ["7"])]),
        ([("7", "/7")], [("/7", ["7"])]),
        # The root that is proved anyway, however it is spelled; not what only begins like it.
        ([("0", "/mnt/mlflow/0"), ("1", "file:/mnt/mlflow/own/place"), ("2", "/mnt/mlflow")], []),
        ([("1", "/mnt/mlflow2/1")], [("/mnt/mlflow2", ["1"])]),
        ([("1", "/mnt/mlflow/../other/1")], [("/mnt/other", ["1"])]),
        ([("1", "/mnt/1")], [("/mnt", ["1"])]),
        # One that lies in another is proved with it; the most used comes first.
        ([("1", "/old/deep/er"), ("2", "/old/2"), ("3", "/z")], [("/old", ["1", "2"]), ("/z", ["3"])]),
        ([("1", "/b/1"), ("2", "/a/2"), ("3", "/b/3")], [("/b", ["1", "3"]), ("/a", ["2"])]),
        ([("1", "/a-b/1"), ("2", "/a/2")], [("/a", ["2"]), ("/a-b", ["1"])]),
    ],
)
def test_local_locations(locations: list[tuple[str, str]], elsewhere: list[tuple[str, list[str]]]) -> None:
    assert shown(group([listed(*one) for one in locations], ["/mnt/mlflow"]).elsewhere) == elsewhere


@pytest.mark.parametrize(
    ("workspace", "location", "root"),
    [
        ("team", "/old/workspaces/team/7", "/old"),
        ("team", "/old/workspaces/other/7", "/old/workspaces/other"),
        ("", "/old/workspaces/team/7", "/old/workspaces/team"),
        ("team", "/workspaces/team/7", "/workspaces/team"),
    ],
)
def test_workspaces_lie_in_the_root(workspace: str, location: str, root: str) -> None:
    one = stored_locations.experiment({"experiment_id": "7", "artifact_location": location}, workspace)

    assert [found.root for found in group([one], ["/mnt/mlflow"]).elsewhere] == [root]


def test_other_kinds_are_kept_apart() -> None:
    found = group(
        [
            listed("1", "mlflow-artifacts:/1"),
            listed("2", "mlflow-artifacts://other:5000/2"),
            listed("3", "s3://bucket/3"),
            listed("4", "s3://bucket/4"),
            listed("5", "sftp://u:secret@nas/5"),
            listed("6", "rel/6"),
            listed("7", None),
            listed("8", "/mnt/mlflow/8"),
        ],
        ["/mnt/mlflow"],
    )

    assert [one.number for one in found.inside] == ["8"]
    assert found.elsewhere == ()
    assert shown(found.proxied) == [("mlflow-artifacts:/", ["1"]), ("mlflow-artifacts://other:5000", ["2"])]
    assert shown(found.remote) == [("s3://bucket", ["3", "4"]), ("sftp://nas", ["5"])]
    assert [members for _why, members in shown(found.unusable)] == [["7"], ["6"]]
    assert {one.kind for one in found.unusable} == {artifact_uri.UNUSABLE}


def test_deleted_ones_are_listed_as_such() -> None:
    (found,) = group([listed("1", "/old/1", lifecycle_stage="deleted"), listed("2", "/old/2")], ["/mnt"]).elsewhere

    assert [one.number for one in found.experiments] == ["1", "2"]
    assert [one.number for one in found.alive] == ["2"]


def test_thousands_of_roots_take_no_minutes() -> None:
    many = [listed(str(number), f"/data/{number // 100}/x{number}") for number in range(20000)]
    began = time.monotonic()

    assert len(group(many, ["/mnt"]).elsewhere) == 20000
    assert time.monotonic() - began < 5
