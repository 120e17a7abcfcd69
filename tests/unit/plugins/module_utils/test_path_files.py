"""Files in a directory that a hostile client may write to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded, path_files, path_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member

RUN = "0123456789abcdef"
ALICE = Member("ws1", "alice")
NAME = path_proof.reply_directory(RUN, ALICE)


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """A reply as a client leaves it, with a visit in it."""
    directory = tmp_path / NAME
    visit = directory / path_proof.colleague_directory(Member("ws2", "bob"))
    visit.mkdir(parents=True)
    (directory / path_proof.REPLY).write_bytes(b"x" * 10)
    (visit / path_proof.REPLY).write_bytes(b"y")
    return directory


def test_removes_all_that_a_check_made(probe: Path, tmp_path: Path) -> None:
    assert path_files.remove_probe(str(tmp_path), NAME)
    assert not probe.exists()
    assert not path_files.remove_probe(str(tmp_path), NAME)


def plant_file(probe: Path) -> None:
    (probe / "thesis.txt").write_text("the only copy")


def plant_tree(probe: Path) -> None:
    (probe / "model").mkdir()
    (probe / "model" / "weights").write_text("the only copy")


def plant_in_visit(probe: Path) -> None:
    (probe / path_proof.colleague_directory(Member("ws2", "bob")) / "weights").write_text("the only copy")


def plant_directory_as_reply(probe: Path) -> None:
    (probe / path_proof.REPLY).unlink()
    (probe / path_proof.REPLY).mkdir()
    (probe / path_proof.REPLY / "weights").write_text("the only copy")


@pytest.mark.parametrize("plant", [plant_file, plant_tree, plant_in_visit, plant_directory_as_reply])
def test_never_removes_what_others_put_there(plant: Callable[[Path], None], probe: Path, tmp_path: Path) -> None:
    plant(probe)

    with pytest.raises(OSError, match=r"not empty|Is a directory|not permitted"):
        path_files.remove_probe(str(tmp_path), NAME)

    copies = [path for path in probe.rglob("*") if path.is_file() and path.read_bytes() == b"the only copy"]
    assert len(copies) == 1


def test_does_not_follow_a_link_in_the_place_of_a_probe(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / path_proof.REPLY).write_text("another's")
    root = tmp_path / "root"
    root.mkdir()
    (root / NAME).symlink_to(elsewhere)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        path_files.remove_probe(str(root), NAME)

    assert (elsewhere / path_proof.REPLY).exists()


def test_does_not_follow_a_link_in_the_place_of_a_visit(probe: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / path_proof.REPLY).write_text("another's")
    (probe / path_proof.colleague_directory(Member("ws3", "eve"))).symlink_to(elsewhere)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        path_files.remove_probe(str(tmp_path), NAME)

    assert (elsewhere / path_proof.REPLY).exists()


@pytest.mark.parametrize("name", ["7", "..", ".mlflow-probe-x", f"{NAME}/../7", ".mlflow-probe-" + "0" * 16 + "-", ""])
def test_refuses_names_that_no_check_makes(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not what a check makes"):
        path_files.remove_probe(str(tmp_path), name)


def test_reads_no_more_than_the_limit(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.truncate(1 << 40)

    assert len(path_files.read_regular(str(huge), 4096)) == 4096


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_reads_nothing_but_regular_files_and_never_waits(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/etc/hostname")

    def read() -> None:
        path_files.read_regular(str(path), 10)

    with pytest.raises(OSError, match=r"not a regular file|Too many levels|symbolic link"):
        bounded.run(read, 5)


def test_only_what_is_a_day_old_is_stale(tmp_path: Path) -> None:
    now = time.time()
    ages = {path_proof.server_directory(RUN): 90000, NAME: 90000, path_proof.server_directory("f" * 16): 80000}
    for name, age in ages.items():
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age, now - age))
    (tmp_path / "7").mkdir()
    os.utime(tmp_path / "7", (0, 0))

    young = path_proof.server_directory("f" * 16)
    old = [path_proof.server_directory(RUN), NAME]
    assert sorted(path_files.left_probes(str(tmp_path), now=now)) == sorted(old)
    assert sorted(path_files.left_probes(str(tmp_path), "f" * 16, now)) == sorted([*old, young])
