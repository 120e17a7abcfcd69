"""The alternatives are only fair as long as they do the same work."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.first_install import OURS, PIP, UV, order
from bench.hosts import ROOT
from bench.no_change import GROUPS
from lab.spec import parse

BENCH = ROOT / "bench"


def facts_task(playbook: Path) -> dict[str, Any]:
    first_play = yaml.safe_load(playbook.read_text())[0]
    task = next(task for task in first_play["tasks"] if "ansible.builtin.setup" in task)
    arguments: dict[str, Any] = task["ansible.builtin.setup"]
    return arguments


def packages(script: str) -> set[str]:
    words = shlex.split((BENCH / script).read_text().replace("\\\n", " "), comments=True)
    start = next(place for place, word in enumerate(words) if word.startswith("mlflow["))
    return set(words[start : start + 4])


def commands(script: str) -> list[str]:
    return [line for line in (BENCH / script).read_text().splitlines() if not line.startswith("#")]


def test_the_facts_are_those_that_site_yml_gathers() -> None:
    assert facts_task(BENCH / "facts.yml") == facts_task(ROOT / "playbooks/preflight.yml")


@pytest.mark.parametrize("script", ["by_hand.sh", "by_hand_pip.sh"])
def test_by_hand_the_same_packages_are_installed(script: str) -> None:
    defaults = yaml.safe_load((ROOT / "roles/mlflow_server/defaults/main.yml").read_text())
    assert "3.17.2" in defaults["mlflow_server_version"]
    wanted = (ROOT / "roles/mlflow_server/files/locks/mlflow-3.17.2.in").read_text().splitlines()
    assert packages(script) == {line for line in wanted if not line.startswith("#")}


def test_the_scripts_differ_in_the_installer_only() -> None:
    uv, pip = commands("by_hand.sh"), commands("by_hand_pip.sh")
    assert [line for line in uv if line not in pip] == [
        '"/opt/$NAME/bin/pip" install --quiet uv',
        '"/opt/$NAME/bin/uv" pip install --quiet --python "/opt/$NAME/bin/python" \\',
    ]
    assert [line for line in pip if line not in uv] == ['"/opt/$NAME/bin/pip" install --quiet \\']


def test_each_round_turns_the_order_around_and_ours_is_the_last() -> None:
    assert order(2) == [(0, OURS), (0, UV), (0, PIP), (1, PIP), (1, UV), (1, OURS)]
    assert order(1) == [(0, PIP), (0, UV), (0, OURS)]


def test_all_hosts_that_are_measured_are_described() -> None:
    names = {host.name for host in parse((BENCH / "hosts.yml").read_text())}
    assert names == {"solo"} | {name for members in GROUPS.values() for name in members}
