"""Programs of several files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import program_files
from ansible_collections.selfhosted.mlflow.plugins.module_utils.program_files import File


def test_only_what_begins_like_a_program_can_be_run() -> None:
    found = program_files.wanted({"b/data.py": "x = 1\n", "a": "#!/bin/sh\n"})

    assert found == {"a": File("#!/bin/sh\n", 0o755), "b/data.py": File("x = 1\n", 0o644)}


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a/../b", "a//b", ".hidden", "a b", "a/"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a program's file"):
        program_files.wanted({name: ""})


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to root")
def test_a_file_is_replaced_whole_with_its_directories(tmp_path: Path) -> None:
    path, file = tmp_path / "libexec/program/part.py", File("x = 'ä'\n", 0o644)
    before = os.umask(0o077)
    try:
        assert program_files.read(str(path)) is None
        program_files.replace(str(path), file)
    finally:
        os.umask(before)

    assert program_files.read(str(path)) == file
    assert (path.parent.stat().st_mode & 0o777, path.parent.parent.stat().st_mode & 0o777) == (0o755, 0o755)
    program_files.replace(str(path), File("x = 2\n", 0o644))
    assert [entry.name for entry in path.parent.iterdir()] == ["part.py"]
    assert path.read_text() == "x = 2\n"


@pytest.mark.parametrize("mode", [0o600, 0o777])
def test_another_mode_is_a_difference(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(mode)

    assert program_files.read(str(path)) != File("x", 0o644)
