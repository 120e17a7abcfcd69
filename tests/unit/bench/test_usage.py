from __future__ import annotations

import sys

import pytest

from bench import usage

MB = 1_000_000


def python(script: str, seconds: float = 30, **environment: str) -> usage.Usage:
    return usage.run([sys.executable, "-c", script], seconds, environment)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("print('said')", 0),
        ("import sys; sys.exit('said')", 1),
        ("print('said', flush=True); import os; os.abort()", -6),
    ],
)
def test_a_command_is_told_by_status_and_output(script: str, status: int) -> None:
    found = python(script)

    assert (found.status, found.output.strip(), found.late) == (status, "said", False)


def test_the_memory_is_that_of_the_largest_descendant() -> None:
    large = f"held = b'x' * {300 * MB}"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {large!r}])"

    small, through_child = python("pass").largest_mb, python(parent).largest_mb

    # A child begins with what its parent held, which is these tests.
    assert small < 250
    assert 300 < through_child < 550


def test_what_ran_before_does_not_count() -> None:
    python(f"held = b'x' * {300 * MB}")

    assert python("pass").largest_mb < 250


def test_a_command_that_does_not_end_is_killed() -> None:
    found = python("import time; time.sleep(60)", seconds=0.5)

    assert found.late
    assert found.seconds < 10


def test_only_the_given_environment_is_seen() -> None:
    assert python("import os; print(os.environ['MINE'], 'HOME' in os.environ)", MINE="yes").output == "yes False\n"
