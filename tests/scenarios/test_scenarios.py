"""Every Molecule scenario, from the first host to the last one removed.

pytest only starts them: it names what failed, tells how long each took, and ends
a run of everything with one line.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
import yaml

from tools import stage

#: What a scenario wants on PATH, which can't be installed from Debian or PyPI.
WANTED = {"nomad": "nomad", "nomad_many": "nomad"}


def test_scenario(scenario: str, capfd: pytest.CaptureFixture[str]) -> None:
    wanted = WANTED.get(scenario, "")
    if wanted and shutil.which(wanted) is None:
        pytest.skip(f"SKIPPED {scenario}: there is no {wanted!r} on PATH, and a real one is what it is about")
    directory = stage.REPOSITORY / "molecule"
    settings = yaml.safe_load((directory / scenario / "molecule.yml").read_text(encoding="utf-8"))
    # A scenario of minutes is watched while it runs.
    with capfd.disabled():
        if settings.get("driver", {}).get("name") == "docker":
            engine = [sys.executable, "-m", "lab", "docker-engine"]
            subprocess.run(engine, check=True, cwd=directory)
        command = [sys.executable, "-m", "molecule", "test", "--scenario-name", scenario]
        code = subprocess.run(command, check=False, cwd=stage.REPOSITORY).returncode
    assert code == 0, f"make molecule SCENARIO={scenario}"
