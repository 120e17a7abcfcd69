# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-lived processes are found by what only they have."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SLEEP, "umid=nas", f"uml_dir={tmp_path}"]) as process:
        yield process
        process.kill()


def test_only_a_process_with_all_the_arguments_matches(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    assert processes.matching(["umid=nas", f"uml_dir={tmp_path}"]) == [sleeper.pid]
    assert processes.matching(["umid=na", f"uml_dir={tmp_path}"]) == []
    assert processes.matching(["umid=nas", f"uml_dir={tmp_path}/other"]) == []
    assert processes.below(tmp_path) == [sleeper.pid]


def test_kill_ends_what_it_finds_and_says_so(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    def find() -> list[int]:
        return processes.matching([f"uml_dir={tmp_path}"])

    assert processes.kill(find)
    assert sleeper.wait(timeout=5) < 0
    assert not processes.kill(find)


def test_descendants_in_other_sessions_are_found() -> None:
    """By what the first of them was told."""
    entry = f"LAB_TEST_MARK={os.getpid()}"
    name, _equals, value = entry.partition("=")
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
    subprocess.run([sys.executable, "-c", start], check=True, env={**os.environ, name: value})

    assert len(processes.told(entry)) == 1
    assert processes.told(entry[:-1]) == []
    assert processes.kill(lambda: processes.told(entry))
    assert processes.told(entry) == []


def test_a_detached_process_outlives_its_input(tmp_path: Path) -> None:
    mark, log = f"mark={tmp_path}", tmp_path / "log"
    read_all = "import sys; print('ready', flush=True); sys.stdin.read(); print('end')"
    processes.detach([sys.executable, "-c", read_all, mark], log, os.environ, hold_stdin=True)
    try:
        deadline = time.monotonic() + 10
        while "ready" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        assert processes.matching([mark])
        assert log.read_text() == "ready\n"
        assert processes.terminate([mark], 5)
    finally:
        processes.kill(lambda: processes.matching([mark]))
