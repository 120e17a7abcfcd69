"""Copying a tree: interrupted, changed meanwhile, in the way of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import move_files
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Copier, CopyError, Progress


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name, content in {"1/a/ä b.bin": b"x" * 5000, "1/empty": b"", "2/deep/er/model.pkl": b"model"}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "2/link").symlink_to("deep/er/model.pkl")
    (root / ".mlflow-deployment").write_text("the marker of another root")
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


def copy(source: Path, target: Path) -> tuple[Progress, Copier]:
    told: list[Progress] = []
    copier = Copier(str(source), str(target), str(target.parent / "files.jsonl"))
    copier.copy(Progress(told.append))
    return told[-1], copier


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_copies_all_but_the_markers(source: Path, target: Path) -> None:
    progress, copier = copy(source, target)

    assert (progress.files, progress.copied_files, progress.copied_bytes) == (4, 4, 5005)
    assert copier.pending() == (0, 0)
    assert copier.prove() == (3, [])
    assert content(target) == {name: what for name, what in content(source).items() if name != ".mlflow-deployment"}
    assert os.readlink(target / "2/link") == "deep/er/model.pkl"
    copied, original = (target / "1/a/ä b.bin").stat(), (source / "1/a/ä b.bin").stat()
    assert copied.st_mtime_ns == original.st_mtime_ns
    assert copied.st_mode & 0o770 == 0o660
    assert (target / "1/a").stat().st_mode & 0o2770 == 0o2770


def test_a_second_time_copies_nothing(source: Path, target: Path) -> None:
    copy(source, target)
    assert copy(source, target)[0].copied_files == 0


def test_what_changed_or_came_since_is_copied(source: Path, target: Path) -> None:
    copy(source, target)
    (source / "1/empty").write_bytes(b"no more")
    (source / "3").mkdir()
    (source / "3/new").write_bytes(b"new")

    progress, copier = copy(source, target)

    assert progress.copied_files == 2
    assert (target / "1/empty").read_bytes() == b"no more"
    assert copier.prove() == (4, [])


def test_a_file_of_somebody_else_is_never_overwritten(source: Path, target: Path) -> None:
    (target / "1").mkdir()
    (target / "1/empty").write_bytes(b"precious")
    with pytest.raises(CopyError, match="1/empty is there already"):
        copy(source, target)
    assert (target / "1/empty").read_bytes() == b"precious"


def test_the_same_content_is_taken_for_the_copy(source: Path, target: Path) -> None:
    (target / "2/deep/er").mkdir(parents=True)
    (target / "2/deep/er/model.pkl").write_bytes(b"model")
    assert copy(source, target)[1].prove() == (3, [])


def test_leftovers_of_a_kill_are_no_hindrance(source: Path, target: Path) -> None:
    (target / "1").mkdir()
    (target / "1/empty.mlflow-move-partial").write_bytes(b"half")
    (target.parent / "files.jsonl").write_text('{"path": "1/em')
    copy(source, target)
    assert content(target).keys() == content(source).keys() - {".mlflow-deployment"}
    assert copy(source, target)[0].copied_files <= 1


def test_a_copy_that_rotted_is_found(source: Path, target: Path) -> None:
    _progress, copier = copy(source, target)
    (target / "2/deep/er/model.pkl").write_bytes(b"mOdel")
    assert copier.prove() == (3, [str(target / "2/deep/er/model.pkl")])


@pytest.mark.parametrize("link", ["/etc/passwd", "../../outside", ".."])
def test_links_that_lead_out_are_refused(source: Path, target: Path, link: str) -> None:
    (source / "out").symlink_to(link)
    with pytest.raises(CopyError, match="outside"):
        copy(source, target)


def test_what_is_no_file_is_refused(source: Path, target: Path) -> None:
    os.mkfifo(source / "pipe")
    with pytest.raises(CopyError, match="no file"):
        copy(source, target)


def test_nothing_to_copy(tmp_path: Path) -> None:
    assert list(move_files.entries(str(tmp_path / "absent"))) == []
