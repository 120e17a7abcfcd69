"""A stranger who may write below the artifact root can't make the server hang, read elsewhere or remove what is his."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from lab import path_cases

Play = Callable[..., subprocess.CompletedProcess[str]]

SCENARIO = Path(__file__).parents[1]
TOLD = yaml.safe_load((SCENARIO / "vars/tricks.yml").read_text(encoding="utf-8"))
TRICKS: dict[str, dict[str, Any]] = TOLD["tricks"]
#: Ansible and thirteen roots included; an answer that somebody waits for takes 20 s more each.
_SECONDS = 150


@pytest.fixture(scope="module")
def played(play: Play, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    results = tmp_path_factory.mktemp("tricks") / "results.json"
    began = time.monotonic()
    run = play(SCENARIO / "by_hand.yml", results=str(results))
    assert run.returncode == 0, run.stdout
    return {**path_cases.read(results), "seconds": time.monotonic() - began}


def _found(result: dict[str, Any], name: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for finding in result["findings"]:
        if finding["path"] == f"/srv/tricks/{name}":
            found.setdefault(finding.get("user", ""), {})[finding["class"]] = finding["severity"]
    return found


@pytest.mark.parametrize("name", TRICKS)
def test_trick_is_seen_through(name: str, played: dict[str, Any]) -> None:
    assert _found(played["sentinel"], name) == {}
    assert _found(played["collected"], name) == TRICKS[name].get("finds", {})
    probed = {word for classes in _found(played["probe"], name).values() for word in classes}
    assert probed == set(TRICKS[name].get("finds_once", "").split())


def test_nobody_waits(played: dict[str, Any]) -> None:
    assert played["seconds"] < _SECONDS


@pytest.mark.usefixtures("played")
def test_what_a_link_leads_to_stays(nas: Host) -> None:
    assert nas.check_output("cd /srv/precious && cat reply sentinel") == "nas\nnas"
    assert nas.check_output("ls -A /srv/precious").split() == ["reply", "sentinel"]


@pytest.mark.usefixtures("played")
def test_only_old_leftovers_are_removed(nas: Host) -> None:
    young = ".mlflow-probe-00000000000000ee"

    assert nas.check_output("ls -A /srv/tricks/nothing").split() == [young, f"{young}-0123456789abcdef"]


@pytest.mark.usefixtures("played")
def test_own_files_are_gone_where_nobody_kept_them(nas: Host) -> None:
    honest = {"nothing", "crowd", "looked_for_early", "looked_for_early_v3", "old_link", "link_for_the_reply", "fifo"}
    left = nas.check_output(f"find /srv/tricks -name '.mlflow-probe-{TOLD['run']}*'").split()

    assert honest.isdisjoint(path.split("/")[3] for path in left)
