"""What mount(8) of macOS and FreeBSD prints.

RECORDED outputs are what people showed of their machines in public; none was made on a machine of ours.
"""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mount_output, mountinfo

# macOS 10.15, `mount -v`: github.com/gdha/rear-automated-testing, issue 78.
RECORDED_CATALINA = """\
/dev/disk1s5 on / (apfs, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk1s1 on /System/Volumes/Data (apfs, NFS exported, local, journaled)
/dev/disk1s4 on /private/var/vm (apfs, local, journaled, nobrowse)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""

# macOS 10.14 with a nullfs: github.com/JamaicanMoose/mount_nullfs, issue 1.
RECORDED_MOJAVE = """\
/dev/disk1s1 on / (apfs, local, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk1s4 on /private/var/vm (apfs, local, noexec, journaled, noatime, nobrowse)
map -hosts on /net (autofs, nosuid, automounted, nobrowse)
map auto_home on /home (autofs, automounted, nobrowse)
map -fstab on /Network/Servers (autofs, automounted, nobrowse)
/Users/Shared/test on /Users/local/Desktop/test (nullfs, local, nosuid, read-only, nobrowse)
"""

# OS X 10.8 with volumes whose names hold spaces: a public note on using SD cards in virtual machines.
RECORDED_SPACES = """\
/dev/disk0s2 on / (hfs, local, journaled)
/dev/disk1s3 on /Volumes/Mac OS X Install DVD (hfs, local, nodev, nosuid, read-only, noowners)
/dev/disk2s2 on /Volumes/Silverlight (hfs, local, nodev, nosuid, read-only, noowners, quarantine, mounted by dany)
"""

# A Mac on an NFS share through autofs: public notes on SQLite in WAL mode and on direct maps.
RECORDED_AUTOFS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map -static on /Volumes/data (autofs, automounted, nobrowse)
10.10.10.1:/data on /Volumes/data (nfs, nodev, nosuid, automounted, nobrowse)
"""

# FreeBSD 8 to 11 with UFS: the FreeBSD Handbook on ZFS and an old paper on securing FreeBSD.
RECORDED_UFS = """\
/dev/ad0s1a on / (ufs, local)
devfs on /dev (devfs, local)
/dev/ad0s1d on /usr (ufs, local, soft-updates)
/dev/ad0s1h on /home (ufs, local, nosuid, with quotas, soft-updates)
example/compressed on /example/compressed (zfs, local)
"""

# FreeBSD with ZFS and jails: test data of bsdploy, and github.com/freebsd/poudriere, issue 294.
RECORDED_JAILS = """\
system/root on / (zfs, local, nfsv4acls)
devfs on /dev (devfs, local, multilabel)
tank/jails/demo_jail on /usr/jails/demo_jail (zfs, local, noatime, nfsv4acls)
/usr/jails/basejail on /usr/jails/demo_jail/basejail (nullfs, local, read-only)
fdescfs on /usr/jails/demo_jail/dev/fd (fdescfs)
/usr/local/poudriere/data/.m/ref/rescue on /usr/local/poudriere/data/.m/01/rescue \
(nullfs, local, noatime, read-only, nfsv4acls)
"""

RECORDED = {
    "macOS 10.15": (RECORDED_CATALINA, ["/", "/dev", "/System/Volumes/Data", "/private/var/vm", None]),
    "macOS 10.14": (RECORDED_MOJAVE, ["/", "/dev", "/private/var/vm", "/net", "/home", "/Network/Servers", None]),
    "OS X 10.8": (RECORDED_SPACES, ["/", "/Volumes/Mac OS X Install DVD", "/Volumes/Silverlight"]),
    "macOS with autofs": (RECORDED_AUTOFS, ["/", "/System/Volumes/Data", "/Volumes/data", "/Volumes/data"]),
    "FreeBSD with UFS": (RECORDED_UFS, ["/", "/dev", "/usr", "/home", "/example/compressed"]),
    "FreeBSD with jails": (RECORDED_JAILS, ["/", "/dev", "/usr/jails/demo_jail", None, None, None]),
}


@pytest.mark.parametrize(("text", "points"), RECORDED.values(), ids=RECORDED)
def test_recorded_outputs_are_read_to_the_last_line(text: str, points: list[str | None]) -> None:
    found = [entry.mount_point for entry in mount_output.parse(text)]
    assert len(found) == len(points)
    assert [point for point, wanted in zip(found, points, strict=True) if wanted] == [p for p in points if p]


def test_every_field() -> None:
    (entry,) = mount_output.parse("nas:/export/a on /srv/a (nfs, nodev, nosuid, mounted by alice)\n")
    assert entry == mountinfo.MountEntry(
        mount_id=0,
        parent_id=0,
        device="",
        root="",
        mount_point="/srv/a",
        options=("rw", "nodev", "nosuid", "mounted by alice"),
        fstype="nfs",
        source="nas:/export/a",
        super_options=(),
    )


@pytest.mark.parametrize(
    ("line", "source", "point", "fstype"),
    [
        (RECORDED_CATALINA.splitlines()[4], "map auto_home", "/System/Volumes/Data/home", "autofs"),
        (RECORDED_MOJAVE.splitlines()[3], "map -hosts", "/net", "autofs"),
        (RECORDED_MOJAVE.splitlines()[6], "/Users/Shared/test", "/Users/local/Desktop/test", "nullfs"),
        (RECORDED_JAILS.splitlines()[4], "fdescfs", "/usr/jails/demo_jail/dev/fd", "fdescfs"),
        ("devfs on /dev (devfs)", "devfs", "/dev", "devfs"),
        ("[2001:db8::1]:/a b on /mnt/a b (nfs)", "[2001:db8::1]:/a b", "/mnt/a b", "nfs"),
        ("nas:/work on hold on /mnt (nfs, asynchronous)", "nas:/work on hold", "/mnt", "nfs"),
        ("/dev/da0 on /mnt/on on on (ufs)", "/dev/da0", "/mnt/on on on", "ufs"),
        ("/dev/da0 on /mnt/old (2019) disk (ufs, local)", "/dev/da0", "/mnt/old (2019) disk", "ufs"),
        ("/dev/da0 on /mnt/old (2019) (ufs, local)", "/dev/da0", "/mnt/old (2019)", "ufs"),
        ("/dev/da0 (x) on /mnt (ufs)", "/dev/da0 (x)", "/mnt", "ufs"),
        ("/dev/da0 on /mnt/a\n\nb (c) (ufs, local)", "/dev/da0", "/mnt/a\n\nb (c)", "ufs"),
        ("nas:/f\udcfcr on /mnt/f\udcfcr (nfs)", "nas:/f\udcfcr", "/mnt/f\udcfcr", "nfs"),
        ("sshfs@pc: on /mnt (fusefs.sshfs, mounted by bob)", "sshfs@pc:", "/mnt", "fusefs.sshfs"),
        (" on /mnt (tmpfs, local)", "", "/mnt", "tmpfs"),
        (
            "//guest:@nas._smb._tcp.local/a on /Volumes/a (smbfs)",
            "//guest:@nas._smb._tcp.local/a",
            "/Volumes/a",
            "smbfs",
        ),
    ],
)
def test_names_are_told_apart(line: str, source: str, point: str, fstype: str) -> None:
    for text in (line, f"{line}\n"):
        (entry,) = mount_output.parse(text)
        assert (entry.source, entry.mount_point, entry.fstype) == (source, point, fstype)


@pytest.mark.parametrize(
    ("listed", "options"),
    [
        ("", ("rw",)),
        (", local", ("rw", "local")),
        (", sealed, local, read-only, journaled", ("ro", "sealed", "local", "journaled")),
        (", NFS exported, with quotas", ("rw", "NFS exported", "with quotas")),
    ],
)
def test_whether_it_can_be_written_is_told_as_linux_does(listed: str, options: tuple[str, ...]) -> None:
    (entry,) = mount_output.parse(f"/dev/da0 on /mnt (ufs{listed})")
    assert entry.options == options


def test_behind_an_automount_the_share_is_seen() -> None:
    entries = mount_output.parse(RECORDED_AUTOFS)
    found = mountinfo.covering(entries, "/Volumes/data/1/artifacts")
    assert found is not None
    assert (found.fstype, found.source, found.is_network) == ("nfs", "10.10.10.1:/data", True)


@pytest.mark.parametrize("fstype", ["nfs", "smbfs", "afpfs", "webdav", "fusefs.sshfs"])
def test_which_file_systems_are_of_the_network(fstype: str) -> None:
    (entry,) = mount_output.parse(f"x on /mnt ({fstype}, nodev)")
    assert entry.is_network


def test_an_empty_table() -> None:
    assert mount_output.parse("") == ()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "/dev/da0 on /mnt",
        "/dev/da0 on mnt (ufs)",
        "/dev/da0 on /mnt ()",
        "/dev/da0 on /mnt (ufs, local",
        "/dev/da0 on /mnt (ufs) and more",
        "",
    ],
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of mount"):
        mount_output.parse(f"/dev/ada0 on / (ufs)\n{line}\n\n/dev/ada1 on /usr (ufs)\n")
