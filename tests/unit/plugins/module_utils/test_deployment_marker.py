"""The file at an artifact root that says whose artifacts these are."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import deployment_marker
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment_marker import NAME, Marker, ensure


def test_a_new_one_has_an_id_that_is_read_back(tmp_path: Path) -> None:
    first = ensure(str(tmp_path))

    assert re.fullmatch("[0-9a-f]{32}", first.deployment)
    assert first.written
    assert (tmp_path / NAME).read_text() == f"{first.deployment}\n"
    assert ensure(str(tmp_path)) == Marker(first.deployment, written=False)
    assert os.listdir(tmp_path) == [NAME]


def test_everybody_may_read_it_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        ensure(str(tmp_path))
    finally:
        os.umask(before)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o644


def test_two_roots_differ(tmp_path: Path) -> None:
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        root.mkdir()
    assert len({ensure(str(root)).deployment for root in roots}) == 2


def test_a_wished_id_is_written_and_then_found(tmp_path: Path) -> None:
    assert ensure(str(tmp_path), "lab.1") == Marker("lab.1", written=True)
    assert ensure(str(tmp_path), "lab.1") == Marker("lab.1", written=False)
    assert ensure(str(tmp_path)) == Marker("lab.1", written=False)


def test_another_deployment_s_is_never_overwritten(tmp_path: Path) -> None:
    ensure(str(tmp_path), "one")
    with pytest.raises(ValueError, match="of the deployment 'one', not of 'two'"):
        ensure(str(tmp_path), "two")
    assert (tmp_path / NAME).read_text() == "one\n"


@pytest.mark.parametrize("deployment", ["", "lab"])
def test_without_writing_it_is_only_told(tmp_path: Path, deployment: str) -> None:
    assert ensure(str(tmp_path), deployment, write=False) == Marker(deployment, written=True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("deployment", [" ", "a b", "a\n", "-a", ".a", "ä", "a/b", "x" * 65])
def test_an_id_that_is_none_is_refused(tmp_path: Path, deployment: str) -> None:
    with pytest.raises(ValueError, match="1 to 64 letters"):
        ensure(str(tmp_path), deployment)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe", b"x" * 10000])
def test_a_marker_that_holds_no_id_is_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ValueError, match="no deployment's id"):
        ensure(str(tmp_path))
    assert (tmp_path / NAME).read_bytes() == content


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("lab\n")
    (tmp_path / NAME).symlink_to("secret")
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ELOOP))):
        ensure(str(tmp_path))


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / NAME)
    with pytest.raises(ValueError, match="not a regular file"):
        ensure(str(tmp_path))


def test_whoever_is_quicker_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object, **named: object) -> None:
        (tmp_path / NAME).write_text("quicker\n")
        raise FileExistsError(errno.EEXIST, "exists")

    monkeypatch.setattr(os, "link", link)
    assert ensure(str(tmp_path)) == Marker("quicker", written=False)
    assert os.listdir(tmp_path) == [NAME]


def test_without_hard_links_it_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object, **named: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", link)
    assert ensure(str(tmp_path), "lab") == Marker("lab", written=True)
    assert os.listdir(tmp_path) == [NAME]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="full"):
        ensure(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_root_that_is_absent_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ensure(str(tmp_path / "absent"))
    assert deployment_marker.NAME == ".mlflow-deployment"
