"""Mount options asked for, against those the kernel shows."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_options

#: What Linux 6.1 showed of a mount made with the role's own options.
SHOWN = [
    "rw",
    "nosuid",
    "nodev",
    "noatime",
    "rw",
    "vers=4.2",
    "rsize=131072",
    "wsize=131072",
    "namlen=255",
    "hard",
    "proto=tcp",
    "timeo=600",
    "retrans=2",
    "sec=sys",
    "clientaddr=10.213.0.12",
    "local_lock=none",
    "addr=10.213.0.10",
]
OURS = "nfsvers=4.2,hard,timeo=600,retrans=2,noatime,nosuid,nodev,_netdev"


@pytest.mark.parametrize(
    "wanted",
    [
        OURS,
        "nodev,nosuid,noatime,retrans=2,timeo=600,vers=4.2",
        "vers=4,nosuid,nodev,noatime",
        "nfsvers=4.2,nosuid,nodev,noatime,sec=sys,proto=tcp",
        f"{OURS},nofail,retry=10,bg,x-systemd.automount,rsize=1048576",
        f"soft,{OURS}",
    ],
)
def test_the_same_mount_has_no_differences(wanted: str) -> None:
    assert nfs_options.differences(nfs_options.parse(wanted), SHOWN) == ()


@pytest.mark.parametrize(
    ("wanted", "difference"),
    [
        (f"{OURS},nfsvers=3", "vers 4.2 instead of 3"),
        (f"{OURS},timeo=100", "timeo 600 instead of 100"),
        (f"{OURS},soft", "hard instead of soft"),
        (f"{OURS},ro", "rw instead of ro"),
        (f"{OURS},noexec", "exec instead of noexec"),
        (f"{OURS},suid", "nosuid instead of suid"),
        (f"{OURS},relatime", "noatime instead of relatime"),
        (f"{OURS},sec=krb5p", "sec sys instead of krb5p"),
        (f"{OURS},noac", "ac instead of noac"),
    ],
)
def test_another_mount_differs(wanted: str, difference: str) -> None:
    assert nfs_options.differences(nfs_options.parse(wanted), SHOWN) == (difference,)


def test_ipv6_transport_is_no_difference() -> None:
    assert nfs_options.differences(("proto=tcp",), ("proto=tcp6",)) == ()


@pytest.mark.parametrize("text", ["hard timeo=600", "a b", "x=", 'context="a"', "timeo=1 2", "rw;ro"])
def test_refuses_what_is_no_option(text: str) -> None:
    with pytest.raises(ValueError, match="not a mount option"):
        nfs_options.parse(text)


@pytest.mark.parametrize(
    ("options", "recovery"),
    [("", "hard"), ("hard", "hard"), ("soft", "soft"), ("hard,softerr", "softerr"), ("soft,hard", "hard")],
)
def test_tells_what_a_lost_server_means(options: str, recovery: str) -> None:
    assert nfs_options.recovery(nfs_options.parse(options)) == recovery
