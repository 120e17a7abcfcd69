"""The verdict on a mount point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo, nfs_mount
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bare_directory import BareDirectory
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nfs_mount import Evidence, Wish

PATH = "/srv/mlflow/artifacts"
WISH = Wish(path=PATH, source="nas:/srv/mlflow", options="nfsvers=4.2,hard,timeo=600,noatime,nosuid,nodev,_netdev")
GUARDED = BareDirectory("directory", PATH, mode=0, immutable=True)
BARE = Evidence(bare=GUARDED, addresses=frozenset(["10.0.0.5"]))
OURS = f"[Unit]\n{nfs_mount.MARKER}\n"

MOUNTED = (
    f"36 25 0:45 / {PATH} rw,nosuid,nodev,noatime shared:1 - nfs4 nas:/srv/mlflow "
    "rw,vers=4.2,rsize=131072,hard,proto=tcp,timeo=600,retrans=2,sec=sys,addr=10.0.0.5"
)
AUTOFS = f"35 25 0:44 / {PATH} rw,relatime shared:1 - autofs systemd-1 rw,fd=50,pgrp=1"
LOCAL = f"36 25 8:1 / {PATH} rw - ext4 /dev/sda1 rw"


def seen(*lines: str) -> Evidence:
    return replace(BARE, mounts=mountinfo.parse("\n".join(lines)))


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        # Each as `systemd-escape --path --suffix=mount` (252) prints it.
        ("/srv/mlflow/artifacts", "srv-mlflow-artifacts.mount"),
        ("/srv/ml-flow", r"srv-ml\x2dflow.mount"),
        ("/srv//a/", "srv-a.mount"),
        ("/", "-.mount"),
        ("/.hidden/x", r"\x2ehidden-x.mount"),
        ("/srv/.hidden", "srv-.hidden.mount"),
        ("/srv/a b", r"srv-a\x20b.mount"),
        ("/srv/é", r"srv-\xc3\xa9.mount"),
        ("/srv/a:b_c.d", "srv-a:b_c.d.mount"),
        ("/srv/a\\b", r"srv-a\x5cb.mount"),
    ],
)
def test_unit_names_are_systemds(path: str, unit: str) -> None:
    assert nfs_mount.unit_name(path) == unit


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (f"nas:/srv/x {PATH} nfs defaults 0 0", "nas:/srv/x"),
        (f"  nas:/srv/x\t{PATH}/  nfs", "nas:/srv/x"),
        (f"#nas:/srv/x {PATH} nfs", None),
        ("/dev/sda1 / ext4", None),
        ("", None),
    ],
)
def test_reads_fstab(line: str, source: str | None) -> None:
    assert nfs_mount.fstab_source(line, PATH) == source


def test_fstab_writes_spaces_in_octal() -> None:
    assert nfs_mount.fstab_source(r"nas:/a\040b /srv/a\040b nfs", "/srv/a b") == "nas:/a b"


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (replace(WISH, source=""), "mlflow_nfs_mount_source is empty"),
        (replace(WISH, source="nas"), "no ':/'"),
        (replace(WISH, path="data"), "not an absolute path"),
        (replace(WISH, path="~/data"), "not an absolute path"),
        (replace(WISH, path="/srv/../data"), "plain form"),
        (replace(WISH, path="/"), "mlflow_nfs_mount_path is /"),
        (replace(WISH, path="/etc/mlflow"), "mlflow_nfs_mount_path is /etc/mlflow"),
        (replace(WISH, options="soft"), "'soft'"),
        (replace(WISH, options="softerr"), "'softerr'"),
        (replace(WISH, options="nfsvers=2"), "version 2"),
        (replace(WISH, options="hard timeo=5"), "not a mount option"),
    ],
)
def test_refuses_inputs(wish: Wish, found: str) -> None:
    (problem,) = nfs_mount.judge(wish, BARE).problems
    assert found in problem.found


def test_soft_can_be_insisted_on() -> None:
    assert nfs_mount.judge(replace(WISH, options="soft", allow_soft=True), BARE).problems == ()


def test_a_bare_host_gets_directory_guard_and_mount() -> None:
    verdict = nfs_mount.judge(WISH, replace(BARE, bare=BareDirectory("missing", "/srv/mlflow")))
    assert verdict.problems == ()
    assert verdict.pending == (f"make {PATH} and guard it", "mount nas:/srv/mlflow")
    assert not verdict.mounted


@pytest.mark.parametrize(
    "line",
    [
        MOUNTED,
        MOUNTED.replace("nas:/srv/mlflow", "NAS:/srv/mlflow"),
        MOUNTED.replace("nas:/srv/mlflow", "10.0.0.5:/srv/mlflow"),
        MOUNTED.replace("nas:/srv/mlflow", "storage.example.org:/srv/mlflow"),
    ],
)
def test_the_same_share_by_any_name_is_right(line: str) -> None:
    verdict = nfs_mount.judge(WISH, seen(line))
    assert (verdict.problems, verdict.pending, verdict.mounted) == ((), (), True)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (MOUNTED.replace("nas:/srv/mlflow", "nas:/srv/other"), "nas:/srv/other (nfs4)"),
        (MOUNTED.replace("nas:/srv/mlflow", "old:/srv/mlflow").replace("10.0.0.5", "10.0.0.9"), "old:/srv/mlflow"),
        (MOUNTED.replace("nas:/srv/mlflow", "nas:/srv/mlflow/sub"), "nas:/srv/mlflow/sub"),
        (LOCAL, "/dev/sda1 (ext4)"),
        (LOCAL.replace("8:1 / ", "8:1 /data "), "/dev/sda1[/data] (ext4)"),
    ],
)
def test_another_source_is_refused_naming_both(line: str, shown: str) -> None:
    (problem,) = nfs_mount.judge(WISH, seen(line)).problems
    assert shown in problem.found
    assert "not nas:/srv/mlflow" in problem.found


def test_another_source_is_replaced_on_demand() -> None:
    verdict = nfs_mount.judge(replace(WISH, replace=True), seen(LOCAL))
    assert verdict.problems == ()
    assert verdict.replace
    assert verdict.pending == ("unmount /dev/sda1", "mount nas:/srv/mlflow")


def test_the_right_mount_is_never_replaced() -> None:
    verdict = nfs_mount.judge(replace(WISH, replace=True), seen(MOUNTED))
    assert (verdict.replace, verdict.pending) == (False, ())


def test_other_options_are_refused_naming_them() -> None:
    (problem,) = nfs_mount.judge(WISH, seen(MOUNTED.replace("timeo=600", "timeo=70"))).problems
    assert "timeo 70 instead of 600" in problem.found


STRAY = BareDirectory("directory", PATH, mode=0o755, immutable=False, count=7, names=("1", "2", "3", "4", "5"))


def test_stray_files_are_refused_before_they_are_hidden() -> None:
    (problem,) = nfs_mount.judge(WISH, replace(BARE, bare=STRAY)).problems
    assert "7 entries of its own: 1, 2, 3, 4, 5, …" in problem.found


def test_stray_files_beneath_a_mount_are_reported_and_kept() -> None:
    verdict = nfs_mount.judge(WISH, replace(seen(MOUNTED), bare=STRAY))
    assert (verdict.problems, verdict.pending) == ((), ())
    assert "7 entries" in verdict.warnings[0]


@pytest.mark.parametrize(
    ("bare", "pending"),
    [
        (GUARDED, ()),
        (replace(GUARDED, immutable=None), ()),
        (replace(GUARDED, immutable=False), (f"guard the bare directory {PATH}",)),
        (replace(GUARDED, mode=0o755), (f"guard the bare directory {PATH}",)),
    ],
)
def test_the_guard_is_kept_up_beneath_a_mount(bare: BareDirectory, pending: tuple[str, ...]) -> None:
    assert nfs_mount.judge(WISH, replace(seen(MOUNTED), bare=bare)).pending == pending


def test_a_file_system_without_the_flag_is_warned_about() -> None:
    (warning,) = nfs_mount.judge(WISH, replace(BARE, bare=replace(GUARDED, immutable=None))).warnings
    assert "no immutable flag" in warning


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (replace(BARE, systemd=False), "systemd"),
        (replace(BARE, addresses=frozenset()), "does not know the name nas"),
        (replace(BARE, fstab="nas:/srv/mlflow"), "/etc/fstab mounts nas:/srv/mlflow"),
        (replace(BARE, unit_text="[Mount]\n"), "srv-mlflow-artifacts.mount was not written"),
        (replace(BARE, automount_text="[Automount]\n"), "srv-mlflow-artifacts.automount was not written"),
        (seen(AUTOFS.replace("systemd-1", "/etc/auto.misc")), "/etc/auto.misc"),
        (replace(BARE, bare=BareDirectory("symlink", "/srv/mlflow")), "/srv/mlflow is a symbolic link"),
        (replace(BARE, bare=BareDirectory("other", PATH)), f"{PATH} is no directory"),
    ],
)
def test_refuses_a_host_that_is_otherwise_taken(evidence: Evidence, found: str) -> None:
    (problem,) = nfs_mount.judge(WISH, evidence).problems
    assert found in problem.found


@pytest.mark.parametrize(("path", "refused"), [("/srv/mlflow", True), (PATH, False)])
def test_the_nas_never_mounts_over_its_own_export(path: str, refused: bool) -> None:
    verdict = nfs_mount.judge(replace(WISH, path=path), replace(BARE, source_is_here=True))
    assert bool(verdict.problems) is refused


AUTO = replace(WISH, automount=True)
ARMED = replace(BARE, unit_text=OURS, automount_text=OURS)


@pytest.mark.parametrize("lines", [(AUTOFS,), (AUTOFS, MOUNTED)])
def test_our_automount_is_right_with_and_without_its_mount(lines: tuple[str, ...]) -> None:
    verdict = nfs_mount.judge(AUTO, replace(ARMED, mounts=seen(*lines).mounts))
    assert (verdict.problems, verdict.pending) == ((), ())


@pytest.mark.parametrize(
    ("wish", "evidence", "unit"),
    [
        (WISH, BARE, ""),
        (WISH, replace(BARE, unit_text=OURS), ""),
        (WISH, ARMED, "srv-mlflow-artifacts.automount"),
        (AUTO, BARE, ""),
        (AUTO, ARMED, ""),
        (AUTO, replace(ARMED, mounts=seen(AUTOFS, MOUNTED).mounts), ""),
        (AUTO, replace(ARMED, mounts=seen(MOUNTED).mounts), "srv-mlflow-artifacts.mount"),
        (AUTO, replace(BARE, unit_text=OURS), "srv-mlflow-artifacts.mount"),
    ],
)
def test_the_unit_of_the_other_way_is_retired(wish: Wish, evidence: Evidence, unit: str) -> None:
    assert nfs_mount.unit_to_retire(wish, evidence) == unit
