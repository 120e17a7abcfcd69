"""Files are replaced whole, and directories made, with the modes that were asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import whole_file


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("_umask")
def test_directories_are_made_and_those_above_can_be_entered(tmp_path: Path) -> None:
    for _again in range(2):
        whole_file.make_directory(str(tmp_path / "a/b"), 0o700)
    assert [mode(tmp_path / "a"), mode(tmp_path / "a/b")] == [0o755, 0o700]


def test_one_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(0o750)
    whole_file.make_directory(str(tmp_path / "a"), 0o700)
    assert mode(tmp_path / "a") == 0o750


@pytest.mark.usefixtures("_umask")
def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    whole_file.write(str(path), "new", 0o640)
    assert (path.read_text(), mode(path)) == ("new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_what_can_t_be_written_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        whole_file.write(str(tmp_path / "file"), "new")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
