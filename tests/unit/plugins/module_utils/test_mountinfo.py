from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo

ROOT = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro"
NFS = "40 22 0:45 / /srv/a rw,nosuid - nfs4 nas:/export/a rw,vers=4.2,addr=192.0.2.1"


def table(*mount_points: str) -> tuple[mountinfo.MountEntry, ...]:
    """A mount table with the given mount points; each one's source is its place in the list."""
    lines = (f"{30 + i} 22 0:{i} / {point} rw - ext4 {i} rw" for i, point in enumerate(mount_points))
    return mountinfo.parse("\n".join(lines))


def test_every_field() -> None:
    (entry,) = mountinfo.parse(NFS + "\n")
    assert entry == mountinfo.MountEntry(
        mount_id=40,
        parent_id=22,
        device="0:45",
        root="/",
        mount_point="/srv/a",
        options=("rw", "nosuid"),
        fstype="nfs4",
        source="nas:/export/a",
        super_options=("rw", "vers=4.2", "addr=192.0.2.1"),
    )


@pytest.mark.parametrize(
    "optional",
    ["", "shared:1 ", "master:2 propagate_from:1 unbindable ", "a-new-tag "],
    ids=["none", "one", "several", "one with dashes"],
)
def test_optional_fields_are_skipped(optional: str) -> None:
    (entry,) = mountinfo.parse(f"22 1 254:1 / /data rw {optional}- xfs /dev/sdb1 rw")
    assert (entry.fstype, entry.source) == ("xfs", "/dev/sdb1")


@pytest.mark.parametrize(
    ("escaped", "path"),
    [
        (r"/mnt/my\040share", "/mnt/my share"),
        (r"/mnt/a\011b", "/mnt/a\tb"),
        (r"/mnt/a\012b", "/mnt/a\nb"),
        (r"/mnt/back\134slash", "/mnt/back\\slash"),
        (r"/mnt/\134040", r"/mnt/\040"),
        (r"/mnt/a\043b", "/mnt/a#b"),
        ("/mnt/fünf", "/mnt/fünf"),
    ],
    ids=["space", "tab", "newline", "backslash", "an escaped backslash before digits", "hash", "not ASCII"],
)
def test_octal_escapes(escaped: str, path: str) -> None:
    (entry,) = mountinfo.parse(f"40 22 0:45 {escaped} {escaped} rw - nfs4 nas:{escaped} rw")
    assert (entry.root, entry.mount_point, entry.source) == (path, path, f"nas:{path}")


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"])
def test_only_a_newline_ends_a_line(separator: str) -> None:
    """The kernel escapes no other separator, so that a directory's name may hold one."""
    (entry,) = mountinfo.parse(f"40 22 0:45 / /mnt/a{separator}b rw - ext4 /dev/sdb1 rw\n")
    assert entry.mount_point == f"/mnt/a{separator}b"


def test_a_source_may_be_empty() -> None:
    (entry,) = mountinfo.parse("40 22 0:45 / /mnt rw - tmpfs  rw")
    assert (entry.source, entry.super_options) == ("", ("rw",))


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "40 22 0:45 / /mnt rw nfs4 nas:/a rw",
        "40 22 0:45 / /mnt - nfs4 nas:/a rw",
        "40 22 0:45 / /mnt rw - nfs4",
        "x 22 0:45 / /mnt rw - nfs4 nas:/a rw",
    ],
    ids=["no fields", "no separator", "a field is missing", "no source", "an id is no number"],
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a mountinfo line|invalid literal"):
        mountinfo.parse(f"{ROOT}\n{line}\n")


def test_an_empty_table() -> None:
    assert mountinfo.parse("") == ()
    assert mountinfo.covering((), "/srv") is None


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/srv/a", "/srv/a"),
        ("/srv/a/", "/srv/a"),
        ("/srv/./b/../a", "/srv/a"),
        ("/srv/ab", None),
        ("/srv", None),
        ("/srv/a/deeper", None),
        ("/", "/"),
    ],
)
def test_at_finds_what_is_mounted_exactly_there(path: str, point: str | None) -> None:
    found = mountinfo.at(table("/", "/srv/a"), path)
    assert (found.mount_point if found else None) == point


@pytest.mark.parametrize(
    ("path", "point"),
    [
        ("/srv/a", "/srv/a"),
        ("/srv/a/deep/er", "/srv/a"),
        ("/srv/ab", "/"),
        ("/srv/ab/c", "/"),
        ("/srv/a/../ab", "/"),
        ("/srv", "/"),
        ("/var/lib/mlflow/backend", "/var/lib"),
        ("/", "/"),
    ],
)
def test_covering_finds_the_deepest_mount(path: str, point: str) -> None:
    found = mountinfo.covering(table("/", "/var", "/var/lib", "/srv/a"), path)
    assert found is not None
    assert found.mount_point == point


@pytest.mark.parametrize("look", [mountinfo.at, mountinfo.covering])
def test_of_stacked_mounts_the_last_one_is_seen(look: object) -> None:
    assert callable(look)
    assert look(table("/", "/srv/a", "/srv/a"), "/srv/a").source == "2"


def test_behind_an_automount_the_share_is_seen() -> None:
    lines = (
        ROOT,
        "39 22 0:44 / /srv/a rw - autofs systemd-1 rw,fd=38,direct",
        "40 39 0:45 / /srv/a rw - nfs4 nas:/export/a rw",
    )
    idle, mounted = mountinfo.parse("\n".join(lines[:2])), mountinfo.parse("\n".join(lines))
    for entries, fstype in ((idle, "autofs"), (mounted, "nfs4")):
        found = mountinfo.at(entries, "/srv/a")
        assert found is not None
        assert found.fstype == fstype


@pytest.mark.parametrize(
    ("fstype", "network"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("cifs", True),
        ("fuse.sshfs", True),
        ("ext4", False),
        ("autofs", False),
        ("tmpfs", False),
    ],
)
def test_which_file_systems_are_of_the_network(fstype: str, network: bool) -> None:
    (entry,) = mountinfo.parse(f"40 22 0:45 / /mnt rw - {fstype} x rw")
    assert entry.is_network is network


def test_read_takes_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_bytes(ROOT.encode() + b"\n40 22 0:45 / /mnt/\xff rw - ext4 /dev/sdb1 rw\n")
    assert [entry.mount_point for entry in mountinfo.read(str(file))] == ["/", "/mnt/\udcff"]


def test_read_ends_lines_at_newlines_only(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_bytes(b"40 22 0:45 / /mnt/a\rb rw - ext4 /dev/sdb1 rw\n")
    assert [entry.mount_point for entry in mountinfo.read(str(file))] == ["/mnt/a\rb"]


def test_read_looks_at_this_process_by_default() -> None:
    assert mountinfo.covering(mountinfo.read(), "/") is not None
