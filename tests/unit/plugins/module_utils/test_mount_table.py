"""The mount table of the system this runs on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mount_table, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A stand-in for /sbin/mount."""
    path = tmp_path / "mount"
    path.touch(mode=0o755)
    return path


def test_linux_reads_mountinfo() -> None:
    assert mount_table.read_table(platform="linux", program="/nowhere") == mountinfo.read()


@pytest.mark.parametrize("platform", ["darwin", "freebsd13", "freebsd14"])
def test_others_run_mount(platform: str, program: Path) -> None:
    program.write_bytes(b"#!/bin/sh\nprintf '%s\\n' \"nas:/f\xfcr on /mnt/$LC_ALL $# (nfs)\"\n")
    (entry,) = mount_table.read_table(5, platform, str(program))
    assert (entry.source, entry.mount_point) == ("nas:/f\udcfcr", "/mnt/C.UTF-8 0")


def test_a_mount_that_hangs_is_left_behind(program: Path) -> None:
    program.write_text("#!/bin/sh\necho '/dev/x on / (ufs)'\nsleep 30 &\nexec sleep 30\n")
    started = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"no answer within 0.3 s .*mount did not end"):
        mount_table.read_table(0.3, "darwin", str(program))
    assert time.monotonic() - started < 5


def test_a_mount_that_fails_is_an_error(program: Path) -> None:
    program.write_text("#!/bin/sh\necho '/dev/x on / (ufs)'\nexit 3\n")
    with pytest.raises(OSError, match="status 3"):
        mount_table.read_table(5, "darwin", str(program))
    program.unlink()
    with pytest.raises(FileNotFoundError):
        mount_table.read_table(5, "darwin", str(program))
