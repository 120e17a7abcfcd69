"""Every way that an upgrade can go, and what whoever finds its journal makes of it."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import upgrade_journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import BACK, FORWARD, Journal

NEW = Journal(
    source="mlflow-3.1.4-a", target="mlflow-3.17.2-b", migrates=True, backup="/var/backups/x", log="/var/backups/x.log"
)
SWITCH = replace(NEW, migrates=False, backup="")
BEHIND = replace(NEW, source=NEW.target)


def walk(journal: Journal) -> list[str]:
    """The steps from here to the end, each of which succeeds."""
    steps = [journal.step]
    while not journal.finished:
        journal = journal.advanced()
        steps.append(journal.step)
    return steps


def at(journal: Journal, step: str) -> Journal:
    """The journal when all went well until ``step``."""
    while journal.step != step:
        assert not journal.finished, step
        journal = journal.advanced()
    return journal


def test_all_goes_well() -> None:
    assert walk(NEW) == [*FORWARD, "done"]
    assert walk(SWITCH) == ["stop", "switch", "start", "verify", "done"]
    assert walk(BEHIND) == [*FORWARD, "done"]


BACK_AGAIN = ["back_start", "back_verify", "rolled_back"]
FAILURES = {
    "stop": ["back_stop", *BACK_AGAIN],
    "dump": ["back_stop", *BACK_AGAIN],
    "migrate": ["back_stop", "back_restore", *BACK_AGAIN],
    "switch": ["back_stop", "back_restore", "back_switch", *BACK_AGAIN],
    "start": [*BACK, "rolled_back"],
    "verify": [*BACK, "rolled_back"],
}


@pytest.mark.parametrize(("step", "way"), FAILURES.items())
def test_the_way_back_undoes_what_was_begun(step: str, way: list[str]) -> None:
    failed = at(NEW, step).failed("no luck")
    assert (walk(failed), failed.reason) == (way, "no luck")


@pytest.mark.parametrize("step", ["start", "verify"])
def test_a_database_that_was_not_migrated_is_not_restored(step: str) -> None:
    assert walk(at(SWITCH, step).failed("")) == ["back_stop", "back_switch", *BACK_AGAIN]


@pytest.mark.parametrize("step", FORWARD)
def test_without_an_older_release_nothing_is_started_that_would_migrate_again(step: str) -> None:
    way = walk(at(BEHIND, step).failed(""))
    assert way[-1] == "rolled_back"
    assert not {"back_start", "back_verify"} & set(way)


@pytest.mark.parametrize("step", FORWARD)
def test_after_a_kill_on_the_way_forward(step: str) -> None:
    """Until the new release is started it goes back; from then on clients may have written: it goes on."""
    resumed = at(NEW, step).resumed()
    if step in ("start", "verify"):
        # At the start, for the host may have gone down too.
        assert walk(resumed) == ["start", "verify", "done"]
    else:
        assert (walk(resumed), f"'{step}'" in resumed.reason) == (FAILURES[step], True)


@pytest.mark.parametrize("step", BACK)
def test_after_a_kill_on_the_way_back(step: str) -> None:
    going_back = at(at(NEW, "verify").failed("no luck"), step)
    assert going_back.resumed() == going_back
    assert walk(going_back) == [*BACK[BACK.index(step) :], "rolled_back"]


def test_a_failure_on_the_way_back_keeps_the_step_and_the_first_reason() -> None:
    going_back = at(at(NEW, "verify").failed("first"), "back_restore")
    assert going_back.failed("second") == going_back


def test_the_end_is_the_end() -> None:
    for end in (at(NEW, "done"), at(NEW.failed("x"), "rolled_back")):
        assert end.finished
        assert end.advanced() == end.resumed() == end


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "upgrade.json"
    journal = replace(NEW, counts={"runs": 7}, sample={"run": "abc"}, reason="é")
    for step in (journal, at(journal, "start"), at(journal, "done")):
        upgrade_journal.write(str(path), step)
        assert upgrade_journal.read(str(path)) == step
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["upgrade.json"]


def test_it_names_the_releases_that_must_not_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "upgrade.json"
    for journal, needs in ((NEW, [NEW.source, NEW.target]), (at(NEW, "done"), [])):
        upgrade_journal.write(str(path), journal)
        assert json.loads(path.read_text())["needs"] == needs


def test_what_a_killed_write_left_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "upgrade.json"
    (tmp_path / "upgrade.json.new").write_text("half")
    upgrade_journal.write(str(path), NEW)
    assert upgrade_journal.read(str(path)) == NEW


def test_none_is_there(tmp_path: Path) -> None:
    assert upgrade_journal.read(str(tmp_path / "upgrade.json")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_a_file_that_is_not_ours_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    path = tmp_path / "upgrade.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"upgrade\.json is no journal"):
        upgrade_journal.read(str(path))
