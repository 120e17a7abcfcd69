"""What is said of an upgrade to whoever reads it at night; what is done, tests/integration/upgrade shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import releases, upgrade_journal, upgrade_run
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_host import Host
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_journal import Journal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_programs import Settings

HOLD = "/opt/mlflow/upgrade.hold"
OLD, NEW = "mlflow-3.1.4-0123456789ab", "mlflow-3.17.2-ba9876543210"


@pytest.fixture
def failed(tmp_path: Path) -> Journal:
    backup = tmp_path / "20261121T020000Z-3.1.4-to-3.17.2"
    begun = Journal(OLD, NEW, migrates=True, backup=str(backup), log=f"{backup}.log", reached="verify")
    return replace(begun.failed("it answers nothing"), step=upgrade_journal.ROLLED_BACK)


def test_taken_back(failed: Journal) -> None:
    Path(failed.backup).mkdir()
    Path(f"{failed.backup}-kept").mkdir()
    first, *rest = upgrade_run.rolled_back(failed, HOLD).splitlines()
    assert first.startswith("The upgrade from MLflow 3.1.4 to 3.17.2 failed at the step 'verify' and was taken back: ")
    assert first.endswith("3.1.4 answers again, with the database as it was.")
    assert rest == [
        "    reason: it answers nothing",
        f"    log: {failed.log}",
        f"    backup: {failed.backup}",
        f"    what the new release had written: {failed.backup}-kept",
        "    next: mend the reason and run the play again, or set mlflow_server_version to 3.1.4",
    ]


def test_no_dump_is_named_that_is_not_there(failed: Journal) -> None:
    assert "backup:" not in upgrade_run.rolled_back(failed, HOLD)
    assert "kept" not in upgrade_run.stuck(failed, HOLD, "x")


def test_without_a_release_to_go_back_to(failed: Journal) -> None:
    text = upgrade_run.rolled_back(replace(failed, source=NEW), HOLD)
    assert text.startswith("The migration of the database failed at the step 'verify'")
    assert f"the server is stopped: this release would migrate it as it starts ({HOLD})" in text
    assert "mlflow_server_version" not in text


def test_only_other_packages(failed: Journal) -> None:
    text = upgrade_run.rolled_back(replace(failed, source="mlflow-3.17.2-aaaaaaaaaaaa"), HOLD)
    assert text.startswith("The change of packages of MLflow 3.17.2 failed")


def test_not_even_back(failed: Journal) -> None:
    text = upgrade_run.stuck(failed, HOLD, "step 'back_restore': no space")
    assert "failed at the step 'verify', and could not be taken back" in text
    assert "    reason: it answers nothing\n    then: step 'back_restore': no space\n" in text
    assert "run the play again: it goes on with that step" in text


def host(root: Path) -> Host:
    return Host(
        Settings(str(root), f"{root}/server.env", "mlflow.service", "root", f"{root}/backups", 1, 1, "/nowhere")
    )


def test_check_mode_on_an_untouched_host_predicts_the_switch(tmp_path: Path) -> None:
    predicted = upgrade_run.predict(host(tmp_path / "none"), NEW, False, False)
    assert (predicted.changed, predicted.upgraded, predicted.before) == (True, False, "release: none\n")
    assert not (tmp_path / "none").exists()


def test_check_mode_tells_of_an_unfinished_upgrade(tmp_path: Path, failed: Journal) -> None:
    begun = host(tmp_path)
    upgrade_journal.write(begun.layout.journal, replace(failed, step="back_restore"))
    predicted = upgrade_run.predict(begun, NEW, True, False)
    assert predicted.changed
    assert f"upgrade to {NEW}: interrupted at the step 'back_restore'" in predicted.before


def test_without_the_programs_that_look_only_the_release_is_predicted(tmp_path: Path) -> None:
    begun = host(tmp_path)
    directory = Path(begun.layout.release(OLD))
    directory.mkdir(parents=True)
    (directory / releases.MARKER).touch()
    releases.activate(begun.layout, OLD)
    Path(begun.settings.environment_file).touch()
    predicted = upgrade_run.predict(begun, NEW, False, False)
    assert (predicted.before, predicted.after) == (f"release: {OLD}\n", f"release: {NEW}\n")
