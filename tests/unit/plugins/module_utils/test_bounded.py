"""Work in a child that can be given up."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded


def test_brings_back_what_the_work_returned() -> None:
    big = ["x" * 1000] * 1000  # more than a pipe holds
    assert bounded.run(lambda: big, 10) == big


def test_works_in_another_process_that_holds_no_directory() -> None:
    pid, directory = bounded.run(lambda: (os.getpid(), os.getcwd()), 10)
    assert pid != os.getpid()
    assert directory == "/"


def test_brings_back_errors() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        bounded.run(lambda: os.stat("/nowhere"), 10)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "/nowhere")
    with pytest.raises(ValueError, match="invalid literal"):
        bounded.run(lambda: int("x"), 10)


def children() -> set[str]:
    """Return the children of this process, of which other tests may have some."""
    return set(Path("/proc/thread-self/children").read_text(encoding="utf-8").split())


def test_gives_up_at_the_deadline_and_leaves_no_child() -> None:
    before = children()
    started = time.monotonic()
    with pytest.raises(bounded.NoAnswerError, match=r"no answer within 0.2 s \(S"):
        bounded.run(lambda: time.sleep(60), 0.2)
    assert time.monotonic() - started < 5
    assert children() == before


def test_a_child_that_dies_is_no_answer() -> None:
    with pytest.raises(bounded.NoAnswerError, match="without a result"):
        bounded.run(lambda: os.kill(os.getpid(), 9), 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_becomes_someone_else_in_the_child_only() -> None:
    identity = bounded.Identity(850, 851, (852, 853))
    seen = bounded.run(lambda: (os.getuid(), os.geteuid(), os.getegid(), os.getgroups()), 10, identity)
    assert seen == [850, 850, 851, [852, 853]]
    assert os.geteuid() == 0
