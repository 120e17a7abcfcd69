"""Every Molecule scenario, from the first host to the last one removed.

pytest only starts them: it names what failed, tells how long each took, and ends
a run of everything with one line.
"""

from __future__ import annotations

from tests.scenarios.lanes import Lanes, log_of


def test_scenario(scenario: str, lanes: Lanes) -> None:
    code = lanes.code(scenario)
    if code and not lanes.watched:
        print(log_of(scenario).read_text(encoding="utf-8", errors="replace"))
    assert code == 0, f"make molecule SCENARIO={scenario}"
