"""The check is right however the play goes through the hosts, whoever takes part and whoever can't."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from lab import path_cases

Play = Callable[..., subprocess.CompletedProcess[str]]
#: host, user -> what was found
Rows = dict[tuple[str, str], list[str]]

SCENARIO = Path(__file__).parents[1]
VERIFY = SCENARIO.parents[1] / "playbooks/verify.yml"
HEALTHY = {("client", "alice"), ("client", "bob"), ("twin", "alice"), ("twin", "bob")}


@pytest.fixture(scope="module")
def crowd(client: dict[str, Any]) -> dict[str, Any]:
    """The server is a client, too; a client is listed twice, one can't be reached, one has nobody to prove it for."""
    hosts = {
        "server": {"mlflow_users": ["alice", "dave"]},
        "client": {"mlflow_users": ["alice", "bob", "dave"]},
        "twin": client,
        "gone": {**client, "ansible_host": "127.0.0.2", "ansible_port": 1},
        "empty": {**client, "mlflow_users": [], "mlflow_artifact_check_shared_group": "nobodys"},
    }
    return {"mlflow_clients": {"hosts": hosts}}


@pytest.fixture(scope="module")
def twins(client: dict[str, Any]) -> dict[str, Any]:
    return {"mlflow_clients": {"hosts": {"client": {}, "twin": client}}}


def _rows(report: Path) -> Rows:
    rows = path_cases.read(report)["rows"]
    return {(row["host"], row["user"]): [finding["class"] for finding in row["findings"]] for row in rows}


def _left(nas: Host) -> list[str]:
    return str(nas.check_output("find /srv/mlflow -name '.mlflow-probe-*'")).split()


def test_each_host_has_its_own_verdict(play: Play, crowd: dict[str, Any], tmp_path: Path, nas: Host) -> None:
    report = tmp_path / "report.json"

    run = play(VERIFY, crowd, mlflow_artifact_check_report=str(report))

    rows = _rows(report)
    assert {who for who, classes in rows.items() if not classes} >= HEALTHY | {("server", "alice")}, run.stdout
    assert rows["gone", ""] == ["unreachable"]
    assert rows["empty", ""] == ["nobody_named"]
    # dave is another number on the server: whichever of the two was seen second.
    assert sorted([*rows["server", "dave"], *rows["client", "dave"]]) == ["ids_differ"]
    failed = dict(re.findall(r"^(\w+) +: ok=.* (?:failed|unreachable)=([1-9])", run.stdout, re.MULTILINE))
    assert set(failed) == {"empty", "gone"}, run.stdout
    assert run.returncode != 0
    assert _left(nas) == []


@dataclass(frozen=True)
class Way:
    """A way to go through the hosts; the report at its end is about `hosts` at least."""

    hosts: tuple[str, ...]
    playbook: Path = VERIFY
    arguments: tuple[str, ...] = ()
    strategy: str = "linear"


WAYS = {
    # The report is written again for each batch.
    "serial": Way(("twin",), playbook=SCENARIO / "serial.yml"),
    "limit": Way(("twin",), arguments=("--limit", "twin")),
    "free": Way(("client", "twin"), strategy="free"),
    "host_pinned": Way(("client", "twin"), strategy="host_pinned"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_other_ways_through_the_hosts(way: Way, play: Play, twins: dict[str, Any], tmp_path: Path, nas: Host) -> None:
    report = tmp_path / "report.json"

    run = play(way.playbook, twins, *way.arguments, strategy=way.strategy, mlflow_artifact_check_report=str(report))

    assert run.returncode == 0, run.stdout
    rows = _rows(report)
    assert not any(rows.values()), run.stdout
    assert {host for host, _user in rows} >= set(way.hosts)
    assert _left(nas) == []
