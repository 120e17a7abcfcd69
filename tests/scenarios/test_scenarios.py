"""Every Molecule scenario, from the first host to the last one removed.

pytest only starts them: it names what failed, tells how long each took, and ends
a run of everything with one line.
"""

from __future__ import annotations

import pytest

from tests.scenarios.lanes import Lanes, log_of


def test_scenario(scenario: str, lanes: Lanes, capfd: pytest.CaptureFixture[str]) -> None:
    # A single scenario is watched while it runs.
    with capfd.disabled():
        code = lanes.code(scenario)
    log = log_of(scenario)
    if code and log.exists():
        print(log.read_text(encoding="utf-8", errors="replace"))
    assert code == 0, f"make molecule SCENARIO={scenario}"
