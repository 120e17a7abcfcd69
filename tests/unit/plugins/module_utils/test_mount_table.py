"""The mount table of the system this runs on."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mount_table, mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner


def prints(text: str, status: int = 0) -> Runner:
    """Return a stand-in for AnsibleModule.run_command(), in whose place mount(8) of another system ran."""
    return lambda argv: (status, text.format(argv=argv, locale=os.environ["LC_ALL"]), "")


def test_linux_reads_mountinfo() -> None:
    assert mount_table.read_table(prints("", 1), platform="linux") == mountinfo.read()


@pytest.mark.parametrize("platform", ["darwin", "freebsd13", "freebsd14"])
def test_others_run_mount(platform: str) -> None:
    (entry,) = mount_table.read_table(prints("nas:/f\udcfcr on {argv[0]}/{locale} (nfs)\n"), 5, platform)
    assert (entry.source, entry.mount_point) == ("nas:/f\udcfcr", "/sbin/mount/C.UTF-8")


def test_a_mount_that_hangs_is_left_behind(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def hang(_argv: list[str]) -> tuple[int, str, str]:
        with subprocess.Popen(["sleep", "60"]) as process:
            note.write_text(str(process.pid))
        return 0, "", ""

    started = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"no answer within 2 s"):
        mount_table.read_table(hang, 2, "darwin")

    assert time.monotonic() - started < 10
    state = Path(f"/proc/{note.read_text()}/stat")
    for _attempt in range(100):
        # It was killed as well, and waits for init to ask for its end.
        if not state.exists() or state.read_text().split()[2] in "ZX":
            return
        time.sleep(0.05)
    pytest.fail("what it started still lives")


def test_a_mount_that_fails_is_an_error() -> None:
    with pytest.raises(OSError, match="status 3"):
        mount_table.read_table(prints("/dev/x on / (ufs)\n", 3), 5, "darwin")
