"""A group is made once, members are only ever added, and a number never changes."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.membership import Group, plan

TEAM = Group(name="team", gid=851, members=frozenset({"alice"}))


@pytest.mark.parametrize(
    ("current", "members", "commands"),
    [
        pytest.param(TEAM, ["alice"], (), id="right already"),
        pytest.param(TEAM, [], (), id="nobody is taken out"),
        pytest.param(TEAM, ["bob", "alice"], (("gpasswd", "--add", "bob", "team"),), id="one is added"),
        pytest.param(None, [], (("groupadd", "--gid", "851", "team"),), id="made"),
        pytest.param(
            None,
            ["bob", "bob"],
            (("groupadd", "--gid", "851", "team"), ("gpasswd", "--add", "bob", "team")),
            id="made first, then filled, each user once",
        ),
    ],
)
def test_plan_runs_only_what_is_needed(
    current: Group | None, members: list[str], commands: tuple[tuple[str, ...], ...]
) -> None:
    assert plan(current, "team", 851, members).commands == commands


def test_diff_shows_the_line_of_the_group_file() -> None:
    change = plan(TEAM, "team", 851, ["bob"])

    assert (change.before, change.after) == ("team:x:851:alice\n", "team:x:851:alice,bob\n")


def test_another_number_is_refused_with_the_ways_out() -> None:
    with pytest.raises(ValueError, match=r"gid 851 on this host, not 900.*groupmod --gid 900 team"):
        plan(TEAM, "team", 900, [])
