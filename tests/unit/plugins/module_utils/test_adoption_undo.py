"""A host is given back as it was, with nothing lost of what the new server left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adoption_undo, upgrade_journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption_undo import Before, StuckError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Process
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import Journal

MARK = ".not-adopted-20261122T000000Z"


class Systemctl:
    """Says what systemctl was asked, in its place: units are not to be stopped by unit tests."""

    def __init__(self, path: str = "", start: int = 0, enabled: bool = True) -> None:
        self.path, self.code, self.enabled = path, start, enabled
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, arguments: Sequence[str]) -> tuple[int, str]:
        self.asked.append(tuple(arguments))
        if arguments[0] == "show":
            return 0, f"{self.path}\n"
        if arguments[0] == "is-enabled":
            return int(not self.enabled), ""
        return (self.code if arguments[0] == "start" else 0), "Job failed."


def test_a_unit_is_put_back_as_it_was(tmp_path: Path) -> None:
    unit, settings, database = (tmp_path / name for name in ("mlflow.service", "server.env", "mlflow.db"))
    unit.write_text("[Service]\nExecStart=old\n")
    systemctl = Systemctl(str(unit))
    files = (str(settings), str(unit), str(database))
    was = adoption_undo.look(files, "mlflow.service", None, systemctl, 1.0)
    unit.write_text("[Service]\nExecStart=new\n")
    settings.write_text("NEW=1\n")
    database.write_text("copy")

    aside = adoption_undo.give_back("mlflow.service", was, files, MARK, systemctl)

    assert unit.read_text() == "[Service]\nExecStart=old\n"
    assert {Path(path).name: Path(path).read_text() for path in aside} == {
        f"server.env{MARK}": "NEW=1\n",
        f"mlflow.db{MARK}": "copy",
        f"mlflow.service{MARK}": "[Service]\nExecStart=new\n",
    }
    assert not settings.exists()
    assert not database.exists()
    assert systemctl.asked[-4:] == [
        ("stop", "mlflow.service"),
        ("daemon-reload",),
        ("enable", "--", "mlflow.service"),
        ("start", "--", "mlflow.service"),
    ]


def test_a_unit_of_another_name_runs_and_ours_does_not_come_back(tmp_path: Path) -> None:
    old = tmp_path / "tracking.service"
    old.write_text("old")
    systemctl = Systemctl(str(old), enabled=False)
    was = adoption_undo.look((), "tracking.service", None, systemctl, 1.0)
    adoption_undo.give_back("tracking.service", was, (), MARK, systemctl)
    assert ("disable", "mlflow.service") in systemctl.asked
    assert systemctl.asked[-2:] == [("daemon-reload",), ("start", "--", "tracking.service")]
    assert list(tmp_path.iterdir()) == [old]


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    settings = tmp_path / "server.env"
    settings.write_text("OLD=1\n")
    systemctl = Systemctl()
    was = adoption_undo.look((str(settings),), "", None, systemctl, 1.0)
    assert adoption_undo.give_back("", was, (str(settings),), MARK, systemctl) == ()
    assert settings.read_text() == "OLD=1\n"
    assert ("start", "--", "") not in systemctl.asked


def test_a_unit_that_does_not_start_any_more_is_told(tmp_path: Path) -> None:
    systemctl = Systemctl(str(tmp_path / "absent.service"), start=1)
    with pytest.raises(StuckError, match=r"old\.service of old does not start: Job failed"):
        adoption_undo.give_back("old.service", Before(), (), MARK, systemctl)


def test_how_a_process_was_started_is_kept_without_its_password() -> None:
    words = ("/home/alice/venv/bin/mlflow", "server", "--backend-store-uri", "postgresql://alice:s3cret@db/mlflow")
    server = Process(1, 0, 1000, words, "/home/alice/my data", {"MLFLOW_FLASK_SERVER_SECRET_KEY": "s3cret"})
    was = adoption_undo.look((), "", server, Systemctl(), 1.0)
    assert was.command.startswith("cd '/home/alice/my data' && /home/alice/venv/bin/mlflow server --backend-store-uri ")
    assert "s3cret" not in was.command


def test_a_record_is_read_as_it_was_written() -> None:
    was = Before(("/a",), "/b", "text", True, "", 2.5)
    assert adoption_undo.read(json.loads(json.dumps(asdict(was)))) == was
    assert adoption_undo.read({}) == Before()


def journal(step: str, migrates: bool = True, stopped_at: float = 20.0) -> Journal:
    return Journal("new", "new", migrates, "/dump", "/log", step, stopped_at=stopped_at)


@pytest.mark.parametrize(
    "harmless",
    [
        None,
        journal(upgrade_journal.ROLLED_BACK),
        journal(upgrade_journal.DONE, migrates=False),
        # Of another day.
        journal(upgrade_journal.DONE, stopped_at=5.0),
    ],
)
def test_a_database_as_it_was_may_be_given_back(harmless: Journal | None) -> None:
    adoption_undo.refuse_midway(harmless, Before(at=10.0), copied_file=False)


@pytest.mark.parametrize(
    ("midway", "told"),
    [
        (journal("migrate"), "stopped at the step 'migrate'"),
        (journal("back_restore"), "stopped at the step 'back_restore'"),
        (journal(upgrade_journal.DONE), "is migrated to the new release.* is /dump"),
    ],
)
def test_the_old_server_is_not_started_on_another_database(midway: Journal, told: str) -> None:
    with pytest.raises(StuckError, match=told):
        adoption_undo.refuse_midway(midway, Before(at=10.0), copied_file=False)
    adoption_undo.refuse_midway(midway, Before(at=10.0), copied_file=True)
