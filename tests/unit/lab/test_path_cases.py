# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of scenario `paths`: what they say, and what they take from a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import path_cases
from lab.base import LabError
from lab.path_cases import Case, Deployment

USUAL = Deployment("usual", {"users": ["alice", "bob"], "mended": {"users": ["alice"]}})


def finding(name: str, severity: str = "error", **more: Any) -> dict[str, Any]:
    return {"class": name, "severity": severity, "remedy": "", "evidence": {}, "path": "/mnt/cases/it", **more}


def report(*rows: tuple[str, bool, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"rows": [{"user": user, "server": server, "findings": findings} for user, server, findings in rows]}


@pytest.mark.parametrize(
    ("given", "broken", "mended"),
    [
        ({}, {}, {}),
        (
            {"finds": {"missing": "error"}, "mend": "remedy"},
            {"alice": {"missing": "error"}, "bob": {"missing": "error"}},
            {},
        ),
        ({"finds": {"bob": {"missing": "error"}}, "mend": {}}, {"bob": {"missing": "error"}}, {}),
        (
            {"finds": {"not_proved": "error", "server": {"no_space": "error"}}, "mend": {}, "then": {"x": "info"}},
            {
                "alice": {"not_proved": "error"},
                "bob": {"not_proved": "error"},
                "server": {"no_space": "error"},
            },
            {"alice": {"x": "info"}},
        ),
        ({"finds": {"x": "info"}}, {"alice": {"x": "info"}, "bob": {"x": "info"}}, {"alice": {"x": "info"}}),
    ],
    ids=["healthy", "for all", "for one", "server and then", "not mended"],
)
def test_expected(given: dict[str, Any], broken: path_cases.Found, mended: path_cases.Found) -> None:
    case = Case("it", USUAL, given)

    assert case.expected(mended=False) == broken
    assert case.expected(mended=True) == mended


def test_found_is_what_concerns_the_root() -> None:
    told = report(
        ("alice", False, [finding("missing"), finding("read_only_mount", path="/mnt/cases/other")]),
        ("bob", False, []),
        ("", True, [finding("no_space")]),
    )

    assert path_cases.found(Case("it", USUAL, {}), told) == {
        "alice": {"missing": "error"},
        "server": {"no_space": "error"},
    }


@pytest.mark.parametrize(
    ("remedy", "commands"),
    [
        ("", []),
        ("on the client: `mount /x`", [("client", "mount /x")]),
        (
            "on the client: `mv /x /y`, `mkdir /x`, then bring back: `cp /y /x`; to keep it, `deploy`",
            [("client", "mv /x /y"), ("client", "mkdir /x"), ("client", "cp /y /x")],
        ),
        ("on the NFS server, with D the directory behind /x: `chmod 2770 D`, as `it`", [("nas", "chmod 2770 /srv/it")]),
        ("put alice into the group, then `log in`", []),
        (
            "on the NFS server: `exportfs -ra`; on the client: `umount /x`",
            [("nas", "exportfs -ra"), ("client", "umount /x")],
        ),
    ],
)
def test_commands_of_a_remedy(remedy: str, commands: list[tuple[str, str]]) -> None:
    # What a sentence says after the last command is cut at the next semicolon only.
    assert path_cases.commands(remedy, "/srv/it")[: len(commands)] == commands
    assert bool(path_cases.commands(remedy, "/srv/it")) == bool(commands)


def test_mends_are_the_remedies_once_or_what_the_case_says() -> None:
    told = report(
        ("alice", False, [finding("missing", remedy="on the client: `mkdir D`")]),
        ("bob", False, [finding("missing", remedy="on the client: `mkdir D`")]),
    )
    by_remedy = Case("it", USUAL, {"mend": "remedy", "export": {}})
    by_hand = Case("that", USUAL, {"mend": {"nas": "rm x"}})
    not_at_all = Case("those", USUAL, {})

    typed = path_cases.mends([by_remedy, by_hand, not_at_all], {"usual": told})

    assert typed["it"]["client"] == "mkdir /srv/special/it\n"
    assert [typed[name]["nas"] for name in typed] == ["", "rm x", ""]


def test_inventory_has_one_host_for_all_cases_of_a_deployment(tmp_path: Path) -> None:
    cases = [Case("it", USUAL, {}), Case("that", USUAL, {})]

    inventory = path_cases.inventory(cases, {"ansible_host": "192.0.2.1"}, tmp_path / "it.json", mended=True)

    hosts = inventory["cases"]["hosts"]
    assert list(hosts) == ["usual"]
    assert hosts["usual"]["ansible_host"] == "192.0.2.1"
    assert hosts["usual"]["mlflow_artifact_check_artifact_root"] == "/mnt/cases/it"
    assert hosts["usual"]["mlflow_artifact_check_users"] == ["alice"]
    assert "mlflow_artifact_check_mended" not in hosts["usual"]


@pytest.mark.parametrize(
    ("case", "wrong"), [({"find": {}}, "unknown keys find"), ({"deployment": "usaul"}, "deployment 'usaul'")]
)
def test_misspelt_cases_are_refused(case: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.yml"
    file.write_text(yaml.safe_dump({"deployments": {"usual": {"users": []}}, "cases": {"it": case}}))

    with pytest.raises(LabError, match=wrong):
        path_cases.load(file)


def test_evidence_is_recorded_once_for_all_who_met_the_same(tmp_path: Path) -> None:
    told = report(
        ("alice", False, [finding("missing", evidence={"uid": 2001}), finding("replica")]),
        ("bob", False, [finding("missing", evidence={"uid": 2002})]),
        ("carol", False, [finding("denied", evidence={"uid": 2003, "colleague": "bob"})]),
        ("", True, [finding("no_space", evidence={"uid": 850})]),
    )

    path_cases.record([Case("it", USUAL, {}), Case("that", USUAL, {})], {"usual": told}, tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["it.json"]
    assert json.loads((tmp_path / "it.json").read_text()) == {
        "evidence": {"uid": 2001},
        "finds": [["missing", "error"]],
    }


def test_evidence_is_recorded_by_user_where_it_differs(tmp_path: Path) -> None:
    told = report(
        ("alice", False, [finding("missing", evidence={"uid": 2001})]),
        ("bob", False, [finding("denied", evidence={"uid": 2002})]),
    )

    assert list(path_cases.recorded(Case("it", USUAL, {}), told)) == ["it-alice", "it-bob"]


def test_the_scenario_s_own_cases_can_be_read() -> None:
    cases = path_cases.load(Path(__file__).parents[3] / "molecule/paths/vars/cases.yml")

    letters = sorted({letter for case in cases for letter in case.given.get("letter", "").split()})
    # h2 and h3 hold for the whole NAS (test_silence.py); f5 and p are made elsewhere.
    assert " ".join(letters) == "a b c d e f1 f2 f3 f4 f6 g1 g2 h1 i j k l m n o"
