"""Every Molecule scenario, from the first host to the last one removed.

pytest only starts them: it names what failed, tells how long each took, and ends
a run of everything with one line.
"""

from __future__ import annotations

import pytest

from tests.scenarios.failure import first_failure
from tests.scenarios.lanes import Lanes, log_of


def test_scenario(scenario: str, lanes: Lanes) -> None:
    if lanes.code(scenario) == 0:
        return
    reason = f"make molecule SCENARIO={scenario}"
    if not lanes.watched:
        log = log_of(scenario).read_text(encoding="utf-8", errors="replace")
        print(log)
        reason = f"{reason}: {first_failure(log)}"
    pytest.fail(reason, pytrace=False)
