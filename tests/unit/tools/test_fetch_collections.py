from __future__ import annotations

from pathlib import Path

import pytest

from tools import fetch_collections

WANTED = ("one.two", "three.four")


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    for name in ("one/two", "three/four", "five/six"):
        directory = tmp_path / "unpacked" / "ansible_collections" / name
        directory.mkdir(parents=True)
        (directory / "MANIFEST.json").write_text(name)
    return tmp_path / "unpacked"


def test_only_what_is_wanted_is_taken_and_replaces_the_old(unpacked: Path, tmp_path: Path) -> None:
    old = tmp_path / "ansible_collections" / "one" / "two"
    old.mkdir(parents=True)
    (old / "stale.py").touch()
    fetch_collections.take(unpacked, tmp_path, WANTED)
    files = {str(p.relative_to(tmp_path)) for p in (tmp_path / "ansible_collections").rglob("*") if p.is_file()}
    assert files == {f"ansible_collections/{name}/MANIFEST.json" for name in ("one/two", "three/four")}


def test_a_package_without_the_collection_is_an_error(unpacked: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fetch_collections.take(unpacked, tmp_path, ("seven.eight",))


def test_current_means_all_of_them_from_this_lock(unpacked: Path, tmp_path: Path) -> None:
    assert not fetch_collections.is_current(tmp_path, WANTED, "lock")
    fetch_collections.take(unpacked, tmp_path, WANTED)
    assert not fetch_collections.is_current(tmp_path, WANTED, "lock")
    (tmp_path / "fetched.txt").write_text("lock")
    assert fetch_collections.is_current(tmp_path, WANTED, "lock")
    assert not fetch_collections.is_current(tmp_path, WANTED, "a newer lock")
    assert not fetch_collections.is_current(tmp_path, (*WANTED, "five.six"), "lock")
