"""Shares and paths as people write them."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nfs_share import Share


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("nas:/srv/mlflow", "nas", "/srv/mlflow"),
        ("nas.example.org:/srv/mlflow/", "nas.example.org", "/srv/mlflow"),
        ("10.0.0.5:/", "10.0.0.5", "/"),
        ("[2001:db8::5]:/srv/a", "2001:db8::5", "/srv/a"),
        ("[fe80::1%eth0]:/srv/a", "fe80::1%eth0", "/srv/a"),
        ("nas:/volume1/ML flow", "nas", "/volume1/ML flow"),
    ],
)
def test_takes_a_share_apart_and_puts_it_together(text: str, host: str, path: str) -> None:
    share = nfs_share.parse(text)
    assert share == Share(host, path)
    assert nfs_share.parse(str(share)) == share


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no ':/'"),
        ("nas", "no ':/'"),
        ("/srv/mlflow", "no ':/'"),
        ("nas:srv/mlflow", "no ':/'"),
        (":/srv", "no usable host"),
        ("my nas:/srv", "no usable host"),
        ("-nas:/srv", "no usable host"),
        ("2001:db8::5:/srv/a", "brackets"),
        ("[nas]:/srv/a", "IPv6"),
        ("[2001:db8::5]/srv/a", "IPv6"),
        ("[2001:db8::5]:srv", "absolute"),
        ("nfs://nas/srv/mlflow", "URL"),
        ("nas:/srv/../etc", "plain form"),
        ("nas://srv", "URL"),
        ("nas:/srv//a", "plain form"),
        ("nas:/srv\n", "control character"),
    ],
)
def test_says_what_is_wrong_with_a_share(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        nfs_share.parse(text)


@pytest.mark.parametrize("path", ["/", "/srv", "/etc", "/etc/mlflow", "/usr/share/x", "/var/lib", "/tmp", "/run/x"])
def test_knows_the_systems_own_directories(path: str) -> None:
    assert nfs_share.is_system_directory(path)


@pytest.mark.parametrize("path", ["/srv/mlflow", "/var/lib/mlflow", "/data", "/home/mlflow", "/etcetera"])
def test_leaves_other_directories_alone(path: str) -> None:
    assert not nfs_share.is_system_directory(path)
