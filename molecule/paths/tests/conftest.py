"""What the tests of this scenario share: plays on its hosts, and what the checks of all cases said."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import path_cases

SCENARIO = Path(__file__).parents[1]
CASES = path_cases.load(SCENARIO / "vars/cases.yml")
#: So many checks at a time: each waits for one-processor hosts most of the time.
_AT_A_TIME = 3

Play = Callable[..., subprocess.CompletedProcess[str]]
Reports = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="session")
def inventory_directory() -> Path:
    return Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent


@pytest.fixture(scope="session")
def play(inventory_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Run a playbook of this scenario with a further inventory and extra variables."""

    def run(
        playbook: Path, more: Mapping[str, Any] | None = None, *arguments: str, strategy: str = "linear", **inputs: Any
    ) -> subprocess.CompletedProcess[str]:
        scratch = tmp_path_factory.mktemp("play")
        (scratch / "more.yml").write_text(yaml.safe_dump(dict(more or {})))
        (scratch / "inputs.json").write_text(json.dumps(inputs))
        inventories = ("--inventory", str(inventory_directory), "--inventory", str(scratch / "more.yml"))
        return subprocess.run(
            [
                "ansible-playbook",
                *inventories,
                "--extra-vars",
                f"@{scratch / 'inputs.json'}",
                *arguments,
                str(playbook),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=400,
            env={**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STRATEGY": strategy},
        )

    return run


@pytest.fixture(scope="session")
def client(inventory_directory: Path) -> dict[str, Any]:
    """How the client is reached, for further names of it in an inventory."""
    reached: dict[str, Any] = yaml.safe_load((inventory_directory / "lab.yml").read_text())["all"]["hosts"]["client"]
    return reached


@pytest.fixture(scope="session")
def nas(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("nas")


def _check_all(play: Play, client: dict[str, Any], directory: Path, mended: bool) -> dict[str, Any]:
    deployments = {case.deployment.name: case.deployment for case in CASES}

    def check(name: str) -> dict[str, Any]:
        cases = [case for case in CASES if case.deployment.name == name]
        report = directory / f"{name}.json"
        hosts = path_cases.inventory(cases, client, report, mended)
        # As if the server had told that it has stored locations there.
        roots = {"roots": [case.root for case in cases]}
        run = play(SCENARIO / "check_cases.yml", hosts, __mlflow_artifact_check_locations=roots)
        assert report.exists(), run.stdout
        return path_cases.read(report)

    with ThreadPoolExecutor(_AT_A_TIME) as executor:
        return dict(zip(deployments, executor.map(check, deployments), strict=True))


@pytest.fixture(scope="session")
def broken(play: Play, client: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """What the checks said of the cases as they were made: deployment -> report."""
    reports = _check_all(play, client, tmp_path_factory.mktemp("broken"), mended=False)
    if "LAB_EVIDENCE" in os.environ:
        path_cases.record(CASES, reports, Path(os.environ["LAB_EVIDENCE"]))
    return reports


@pytest.fixture(scope="session")
def mended(
    broken: Reports, play: Play, client: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Reports]:
    """What was said while the cases were mended, and what the checks said then."""
    run = play(SCENARIO / "mend.yml", mends=path_cases.mends(CASES, broken))
    assert run.returncode == 0, run.stdout
    return run.stdout, _check_all(play, client, tmp_path_factory.mktemp("mended"), mended=True)
