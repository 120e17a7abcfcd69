# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host finds inside, and how it is booted."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from lab import guest, host, kernel
from lab.base import Places
from lab.state import Host, Lab, network_of

NAS = Host(name="nas", image="debian-12", memory_mb=512, groups=("storage",), address="10.213.0.10", base="/c/b.img")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    places = Places(cache=tmp_path / "cache", state=tmp_path / "state", run=Path("/run/x"))
    return Lab(name="dev", directory=tmp_path, network=network_of(places, "dev", "10.213.0.0/24"), hosts={"nas": NAS})


def test_the_hosts_file_names_all_hosts_with_and_without_the_domain() -> None:
    assert guest.hosts_file({"nas": "10.213.0.10", "server": "10.213.0.11"}) == (
        "127.0.0.1 localhost\n"
        "::1 localhost ip6-localhost ip6-loopback\n"
        "10.213.0.10 nas.lab.test nas\n"
        "10.213.0.11 server.lab.test server\n"
    )


def test_the_environment_file_is_quoted_for_pam() -> None:
    assert guest.environment_file({"b": "x y", "a": "1"}) == 'a="1"\nb="x y"\n'


def test_the_identity_is_the_same_for_the_same_files_and_private() -> None:
    files = {"hosts": "x\n", "network": "y\n"}
    data = guest.archive(files)

    assert data == guest.archive(dict(reversed(list(files.items()))))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [(member.name, member.mode) for member in tar] == [("hosts", 0o600), ("network", 0o600)]


def test_the_boot_script_is_sound_shell() -> None:
    script = guest.FILES["/usr/local/sbin/lab-host"]
    assert subprocess.run(["sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_boot_line_says_disk_network_and_name(lab: Lab) -> None:
    words = host.command(lab, NAS)

    assert words[0] == "linux.uml"
    assert set(host.arguments(lab, NAS)) == {"umid=nas", "uml_dir=/run/x/dev"}
    assert set(host.arguments(lab, NAS)) < set(words)
    assert f"ubd0={lab.directory}/nas.cow,/c/b.img" in words
    assert f"ubd1r={lab.directory}/nas.tar" in words
    assert "eth0=daemon,02:ab:0a:d5:00:0a,unix,/run/x/dev/switch" in words
    assert "mem=512M" in words
    assert "systemd.hostname=nas" in words


@pytest.mark.parametrize(
    ("release", "sound"), [("6.1.176", False), ("6.12.101", False), ("6.13.0", True), ("7.0", True), ("", False)]
)
def test_kernels_that_keep_all_registers(release: str, sound: bool) -> None:
    assert kernel.keeps_wide_state(release) is sound


@pytest.mark.parametrize(("flags", "wide"), [("fpu avx512f", False), ("fpu amx_tile avx512f", True), ("", False)])
def test_processors_with_more_registers(flags: str, wide: bool) -> None:
    assert kernel.is_wide(f"processor\t: 0\nflags\t\t: {flags}\n") is wide
