"""Looking at a bare mount point, and what guarding it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bare_directory
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bare_directory import BareDirectory


def test_names_the_first_component_that_is_missing(tmp_path: Path) -> None:
    assert bare_directory.inspect(f"{tmp_path}/a/b") == BareDirectory("missing", f"{tmp_path}/a")


def test_names_a_link_or_a_file_in_the_way(tmp_path: Path) -> None:
    tmp_path.joinpath("link").symlink_to(tmp_path)
    tmp_path.joinpath("file").touch()
    assert bare_directory.inspect(f"{tmp_path}/link/x") == BareDirectory("symlink", f"{tmp_path}/link")
    assert bare_directory.inspect(f"{tmp_path}/file") == BareDirectory("other", f"{tmp_path}/file")


def test_counts_all_entries_and_names_some(tmp_path: Path) -> None:
    for number in range(9):
        tmp_path.joinpath(str(number)).touch()
    found = bare_directory.inspect(str(tmp_path))
    assert (found.kind, found.count, found.names) == ("directory", 9, ("0", "1", "2", "3", "4"))
    assert not found.guarded


def test_a_directory_with_files_is_never_guarded(tmp_path: Path) -> None:
    tmp_path.joinpath("precious").touch()
    mode = tmp_path.stat().st_mode
    with pytest.raises(OSError, match="not empty"):
        bare_directory.guard(str(tmp_path))
    assert tmp_path.stat().st_mode == mode


@pytest.mark.parametrize(
    ("mode", "immutable", "guarded"),
    [(0, True, True), (0, None, True), (0, False, False), (0o755, True, False)],
)
def test_guarded_means_nothing_is_left_to_do(mode: int, immutable: bool | None, guarded: bool) -> None:
    assert BareDirectory("directory", "/x", mode, immutable).guarded is guarded
