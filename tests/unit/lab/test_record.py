# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check run's prediction against what converge did."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from lab import record
from lab.base import LabError

FILE = record.Entry(host="server", role="mlflow_server", task="Configure | Write the unit", changed=True)
SAME = replace(FILE, task="Install | Install the packages", changed=False)
RESTART = record.Entry(host="server", role="mlflow_server", task="Restart MLflow", changed=True, handler=True)


@pytest.mark.parametrize(
    ("check", "converge", "difference"),
    [
        ([], [], []),
        ([FILE, SAME, RESTART], [RESTART, SAME, FILE], []),
        ([FILE], [FILE, SAME], []),
        ([FILE, FILE], [FILE, FILE], []),
        ([FILE, FILE], [FILE, replace(FILE, changed=False)], []),
        ([FILE, FILE], [FILE], ["Write the unit': predicted to change, didn't"]),
        ([FILE, FILE], [replace(FILE, changed=False)] * 2, ["Write the unit': predicted to change, didn't"] * 2),
        ([FILE], [replace(FILE, changed=False)], ["Write the unit': predicted to change, didn't"]),
        ([FILE], [], ["Write the unit': predicted to change, didn't"]),
        ([SAME], [replace(SAME, changed=True)], ["Install the packages': changed, not predicted"]),
        ([FILE], [FILE, RESTART], ["server: handler 'mlflow_server : Restart MLflow': changed, not predicted"]),
        ([FILE], [FILE, FILE], ["Write the unit': changed, not predicted"]),
        ([FILE], [replace(FILE, host="client")], ["server: task", "client: task"]),
    ],
)
def test_compare(check: list[record.Entry], converge: list[record.Entry], difference: list[str]) -> None:
    found = record.compare(check, converge)

    assert len(found) == len(difference)
    assert all(expected in text for expected, text in zip(difference, found, strict=True))


def _write(directory: Path, name: str, *entries: record.Entry) -> None:
    (directory / name).write_text(json.dumps([asdict(entry) for entry in entries]))


def test_the_last_prediction_and_the_run_after_it_are_read(tmp_path: Path) -> None:
    _write(tmp_path, "01-check.json", SAME)
    _write(tmp_path, "02-run.json", SAME)
    _write(tmp_path, "03-check.json", FILE)
    _write(tmp_path, "04-run.json", FILE, RESTART)
    _write(tmp_path, "05-run.json", SAME)

    assert record.read(tmp_path) == ((FILE,), (FILE, RESTART))


def test_what_a_scenario_knows_is_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, "01-check.json", FILE, replace(SAME, changed=True))
    _write(tmp_path, "02-run.json", SAME, RESTART, replace(FILE, changed=False))
    known = ("Install the packages': predicted to change, didn't", "Write the unit': changed, not predicted")

    told = record.told_wrongly(tmp_path, *known)

    assert [text.split(": ")[-1] for text in told] == ["predicted to change, didn't", "changed, not predicted"]
    assert not any(text.endswith(known) for text in told)
    assert len(record.told_wrongly(tmp_path)) == 3


def test_a_run_without_changes_is_no_proof(tmp_path: Path) -> None:
    _write(tmp_path, "01-check.json", SAME)
    _write(tmp_path, "02-run.json", SAME)
    with pytest.raises(LabError, match="changed nothing"):
        record.told_wrongly(tmp_path)


@pytest.mark.parametrize("names", [[], ["01-run.json"], ["01-run.json", "02-check.json"]])
def test_a_run_without_a_prediction_is_no_proof(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        _write(tmp_path, name, FILE)
    with pytest.raises(LabError, match="no check run followed by a converge run"):
        record.read(tmp_path)


def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(ValueError, match="not a recording"):
        record.parse('[{"host": "server"}]')
