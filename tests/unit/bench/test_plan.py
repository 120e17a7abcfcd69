from __future__ import annotations

import pytest

from bench.hosts import Hosts
from bench.plan import PARTS, QUICK, Effort, Session, Step, carry_out
from lab.base import Progress

MINUTE = 60


def plan(effort: Effort, *parts: str) -> list[Step]:
    return Session(Hosts(Progress("test")), effort).steps(parts)


def test_a_whole_run_ends_in_bearable_time() -> None:
    assert sum(step.seconds for step in plan(Effort(), *PARTS)) < 35 * MINUTE


@pytest.mark.parametrize("part", PARTS)
def test_a_part_alone_begins_with_its_hosts(part: str) -> None:
    steps = plan(QUICK, part)
    assert "up" in steps[0].what
    assert 0 < sum(step.seconds for step in steps) < sum(step.seconds for step in plan(QUICK, *PARTS))


def test_each_step_is_announced_with_the_time_that_is_left() -> None:
    done: list[str] = []
    said: list[str] = []
    steps = [Step("one", 90, lambda: done.append("one")), Step("two", 30, lambda: done.append("two"))]
    carry_out(steps, said.append)
    assert done == ["one", "two"]
    assert said == ["[0:00] 1/2 one (about 2 min to go)", "[0:00] 2/2 two (about 0 min to go)"]
