from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases
from ansible_collections.selfhosted.mlflow.plugins.module_utils.releases import Layout, State


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path))


def make(layout: Layout, name: str, used: float | None = None) -> None:
    """A release; without ``used`` an unfinished one."""
    directory = Path(layout.release(name))
    directory.mkdir(parents=True)
    if used is not None:
        marker = directory / releases.MARKER
        marker.touch()
        os.utime(marker, (used, used))


def test_nothing_there_yet(layout: Layout) -> None:
    assert releases.scan(layout) == State(None, (), ())


def test_scan_orders_by_last_use(layout: Layout) -> None:
    make(layout, "b", 20)
    make(layout, "a", 30)
    make(layout, "c", 10)
    make(layout, "d")
    releases.activate(layout, "c")
    assert releases.scan(layout) == State("c", ("b", "a", "c"), ("d",))


PLANS = {
    "first install": (State(None, (), ()), 2, "n", True, True, ()),
    "nothing to do": (State("n", ("n",), ()), 2, "n", False, False, ()),
    "an update": (State("o", ("o",), ()), 2, "n", True, True, ()),
    "back to an old one": (State("o", ("n", "o"), ()), 2, "n", False, True, ()),
    "the oldest ones go": (State("d", ("a", "b", "c", "d"), ()), 2, "n", True, True, ("a", "b")),
    "the last current one counts as the newest": (State("a", ("a", "b", "c"), ()), 1, "n", True, True, ("b", "c")),
    "none is kept": (State("o", ("o",), ()), 0, "n", True, True, ("o",)),
    "the current one is never removed": (State("n", ("n", "z"), ()), 0, "n", False, False, ("z",)),
    "leftovers go": (State("n", ("n",), ("u",)), 2, "n", False, False, ("u",)),
    "an own leftover is replaced": (State("o", ("o",), ("n",)), 2, "n", True, True, ()),
    "a damaged current one is built again": (State("n", (), ("n",)), 2, "n", True, False, ()),
    "a damaged current one is not removed": (State("o", (), ("o",)), 2, "n", True, True, ()),
    "a dangling link": (State("gone", ("n",), ()), 2, "n", False, True, ()),
}


@pytest.mark.parametrize(("state", "keep", "wanted", "build", "switch", "remove"), PLANS.values(), ids=PLANS.keys())
def test_plan(state: State, keep: int, wanted: str, build: bool, switch: bool, remove: tuple[str, ...]) -> None:
    plan = releases.plan(state, wanted, keep)
    assert (plan.build, plan.switch, plan.remove) == (build, switch, remove)
    assert plan.changed == (build or switch or bool(remove))


def test_what_runs_is_not_removed() -> None:
    state = State("c", ("a", "b", "c"), ("u",))
    assert releases.plan(state, "c", 0, {"a", "u"}).remove == ("b",)


def test_built_beside_the_current_one_which_stays() -> None:
    plan = releases.plan(State("o", ("x", "o"), ()), "n", 0, activate=False)
    assert (plan.build, plan.switch, plan.remove) == (True, False, ("x",))


def test_what_an_unfinished_upgrade_needs_is_not_removed(layout: Layout) -> None:
    for number, name in enumerate(("a", "from", "to")):
        make(layout, name, number)
    releases.activate(layout, "to")
    Path(layout.journal).write_text('{"needs": ["from", "to"]}')
    assert releases.plan(releases.scan(layout), "to", 0).remove == ("a",)
    for damaged in ("", "[]", '{"needs": ['):
        Path(layout.journal).write_text(damaged)
        assert releases.plan(releases.scan(layout), "to", 0).remove == ("a", "from")


def test_a_release_is_complete_when_it_is_finished(layout: Layout) -> None:
    make(layout, "a")
    releases.finish(layout, "a", {"installer": "uv"})
    assert releases.scan(layout).complete == ("a",)


def test_switching_is_atomic_and_relative(layout: Layout) -> None:
    make(layout, "a", 1)
    make(layout, "b", 2)
    releases.activate(layout, "a")
    # What a run that was killed in between leaves.
    Path(f"{layout.current}.new").symlink_to("venvs/a")
    releases.activate(layout, "b")
    assert Path(layout.current).readlink() == Path("venvs/b")
    assert not Path(f"{layout.current}.new").is_symlink()


def test_switching_counts_as_use(layout: Layout) -> None:
    make(layout, "a", 1)
    make(layout, "b", 2)
    releases.activate(layout, "a")
    assert releases.scan(layout).complete == ("b", "a")


def test_running_from(layout: Layout, tmp_path: Path) -> None:
    for pid, name, text in (
        ("7", "cmdline", f"{layout.venvs}/by-argument/bin/python\0-m\0x\0"),
        ("8", "maps", f"7f00 r-xp 0 fe:01 12  {layout.venvs}/by-library/lib/x.so\n"),
        ("9", "cmdline", "/opt/elsewhere/venvs/other/bin/python\0"),
        ("self", "cmdline", f"{layout.venvs}/not-a-process/x"),
    ):
        process = tmp_path / "proc" / pid
        process.mkdir(parents=True)
        (process / name).write_text(text)
    assert releases.running_from(layout, str(tmp_path / "proc")) == {"by-argument", "by-library"}


def test_description() -> None:
    assert releases.describe(None, ()) == "current: none\nreleases:\n"
    assert releases.describe("b", ("b", "a")) == "current: b\nreleases:\n  - a\n  - b\n"
