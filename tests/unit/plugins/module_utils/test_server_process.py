"""Which process serves artifacts, and what it sees."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import server_process
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Identity
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.server_process import NotSeenError

STATUS = "Name:\tmlflow\nUid:\t850\t851\t852\t853\nGid:\t860\t861\t862\t863\nGroups:\t861 900 \n"


def test_ids_are_the_effective_ones() -> None:
    assert server_process.parse_status(STATUS) == Identity(851, 861, (861, 900))
    with pytest.raises(ValueError, match="no ids"):
        server_process.parse_status("Name:\tx\n")


@pytest.fixture
def sleeper() -> Iterator[int]:
    code = "import sys, time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, "a-text-nobody-else-has"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def answer(text: str) -> Runner:
    return lambda _argv: (0, text, "")


def test_process_is_found_by_number_unit_and_command(sleeper: int) -> None:
    assert server_process.find(str(sleeper), answer("")) == sleeper
    assert server_process.find("mlflow.service", answer(f"{sleeper}\n")) == sleeper
    assert server_process.find("command:a-text-nobody-else-has", answer("")) == sleeper


@pytest.mark.parametrize(
    ("process", "printed", "error", "text"),
    [
        ("mlflow.service", "0\n", NotSeenError, "not running"),
        ("mlflow.service", "", NotSeenError, "not running"),
        ("command:nothing is called this" + "x" * 40, "", NotSeenError, "no process"),
        ("command:", "", ValueError, "names no process"),
        ("mlflow", "", ValueError, "names no process"),
    ],
)
def test_what_is_not_there_is_said(process: str, printed: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        server_process.find(process, answer(printed))


def test_view_of_a_process(sleeper: int) -> None:
    view = server_process.look(sleeper)
    assert (view.identity.uid, view.identity.gid) == (os.geteuid(), os.getegid())
    assert any(entry.mount_point == "/" for entry in view.mounts)
    os.close(view.root)
    with pytest.raises(NotSeenError, match="can't be looked into") as gone:
        server_process.look(2**22 - 1)
    assert gone.value.remedy == ""


def test_a_container_that_may_not_look_is_told_what_it_lacks(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotSeenError, match="Permission denied") as refused:
        server_process.look(sleeper)
    assert "SYS_PTRACE" in refused.value.remedy


def entry(point: str, device: str, root: str = "/") -> MountEntry:
    return MountEntry(1, 0, device, root, point, ("rw",), "ext4", "x", ())


HOST = (entry("/", "8:1"), entry("/srv", "8:2"), entry("/data", "0:40", "/"))


@pytest.mark.parametrize(
    ("inside", "path", "expected"),
    [
        ([entry("/", "0:99"), entry("/mnt/artifacts", "8:2", "/x")], "/mnt/artifacts", "/srv/x"),
        ([entry("/", "0:99"), entry("/mnt/artifacts", "8:2", "/x")], "/mnt/artifacts/7", "/srv/x/7"),
        ([entry("/", "0:99"), entry("/mnt/artifacts", "0:40")], "/mnt/artifacts", "/data"),
        ([entry("/", "0:99")], "/mnt/artifacts", None),
        ([], "/mnt/artifacts", None),
    ],
)
def test_host_path_of_what_a_container_sees(inside: list[MountEntry], path: str, expected: str | None) -> None:
    assert server_process.on_host(path, inside, HOST) == expected
