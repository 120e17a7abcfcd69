"""What of a failed scenario's log one wants to read first.

CI keeps the end of its output only, which is pytest's summary: the reason has to stand there.
"""

from __future__ import annotations

import re

MOST_LINES = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAME = re.compile(r"^  │ ?")
_STEP = re.compile(r"^(?:INFO|ERROR|WARNING) +\S+ ➜ (?P<step>\w+): (?P<said>Executing$|Executed: Failed)")
_TOLD = re.compile(r"^(?:fatal: |failed: |FAILED(?! - RETRYING)|ERROR|\[ERROR\]|E  |CRITICAL|\*  \[)")
#: How many of the lines after one that tells a failure belong to it.
_AFTER = 3


def first_failure(log: str) -> str:
    """Return the step of Molecule's that failed first and the last lines in it that tell of a failure.

    :param log: what ``molecule test`` printed, in colours or without.
    """
    name, lines = "", list[str]()
    for raw in log.splitlines():
        line = _COLOUR.sub("", raw).rstrip()
        if step := _STEP.match(line):
            if step["said"] != "Executing":
                return "\n".join((f"step {step['step']}:", *_telling(lines)))
            name, lines = step["step"], []
        elif line := _FRAME.sub("", line):
            lines.append(line)
    return "\n".join((f"ended in step {name or 'none'}:", *lines[-MOST_LINES:]))


def _telling(lines: list[str]) -> list[str]:
    starts = [number for number, line in enumerate(lines) if _TOLD.match(line)]
    wanted = sorted({number + more for number in starts for more in range(_AFTER + 1)} & set(range(len(lines))))
    return [lines[number] for number in wanted or range(len(lines))][-MOST_LINES:]
