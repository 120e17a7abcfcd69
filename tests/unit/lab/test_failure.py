# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reason of a failed scenario is found in Molecule's log."""

from __future__ import annotations

from tests.scenarios.failure import MOST_LINES, first_failure

PREPARED = """\
\x1b[36mINFO    \x1b[0m \x1b[32mnfs\x1b[0m ➜ \x1b[33mprepare\x1b[0m: \x1b[36mExecuting\x1b[0m
  \x1b[2m│\x1b[0m fatal: [nas]: FAILED! => of no account here
INFO     nfs ➜ prepare: Executed: Successful
"""
DESTROYED = """\
INFO     nfs ➜ destroy: Executing
  │ fatal: [localhost]: FAILED! => later
INFO     nfs ➜ destroy: Executed: Successful
ERROR    Molecule executed 1 scenario (1 failed)
"""


def test_a_task_that_failed_is_told_with_its_message() -> None:
    log = f"""{PREPARED}\
INFO     nfs ➜ converge: Executing
  │ ok: [server]
  │ FAILED - RETRYING: [server]: Wait (3 retries left).
  │ \x1b[0;31mfatal: [client]: FAILED! =>\x1b[0m
  │     changed: false
  │     msg: The path is local.
  │
  │ PLAY RECAP
  │ client : ok=1 failed=1
ERROR    nfs ➜ converge: Executed: Failed
{DESTROYED}"""

    assert first_failure(log).splitlines() == [
        "step converge:",
        "fatal: [client]: FAILED! =>",
        "    changed: false",
        "    msg: The path is local.",
        "PLAY RECAP",
    ]


def test_a_test_that_failed_is_told_by_name() -> None:
    log = f"""{PREPARED}\
INFO     nfs ➜ verify: Executing
  │ E       assert 1 == 2
  │ tests/test_a.py:3: AssertionError
  │ ====== short test summary info
  │ FAILED tests/test_a.py::test_b - assert 1 == 2
  │ 1 failed, 3 passed
CRITICAL Verifier tests failed
ERROR    nfs ➜ verify: Executed: Failed
{DESTROYED}"""

    told = first_failure(log).splitlines()
    assert (told[0], told[1]) == ("step verify:", "E       assert 1 == 2")
    assert "FAILED tests/test_a.py::test_b - assert 1 == 2" in told


def test_a_task_that_was_not_idempotent_is_told() -> None:
    log = """\
INFO     nfs ➜ idempotence: Executing
CRITICAL Idempotence test failed because of the following tasks:
*  [client] => Mount the share
ERROR    nfs ➜ idempotence: Executed: Failed
"""
    assert "*  [client] => Mount the share" in first_failure(log)


def test_a_long_tale_is_told_from_its_end() -> None:
    tale = "".join(f"  │ E   line {number}\n" for number in range(3 * MOST_LINES))
    told = first_failure(f"INFO     nfs ➜ verify: Executing\n{tale}ERROR    nfs ➜ verify: Executed: Failed\n")

    assert len(told.splitlines()) == MOST_LINES + 1
    assert told.endswith(f"line {3 * MOST_LINES - 1}")


def test_what_was_ended_from_outside_is_told_with_its_last_words() -> None:
    assert first_failure("INFO     nfs ➜ create: Executing\n  │ TASK [Boot]\n") == "ended in step create:\nTASK [Boot]"
    assert first_failure("") == "ended in step none:"
