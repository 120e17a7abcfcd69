# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests take over from this machine, and what stays here."""

from __future__ import annotations

import pytest

from lab import machine
from lab.base import LabError

MIRRORS = "Debian http://mirror/debian\nDebian-Security http://mirror/security"


@pytest.mark.parametrize(
    ("value", "portable"),
    [
        ("https://pypi.example.org/simple", True),
        ("https://user:word@pypi.example.org/simple", True),
        ("http://proxy.example.org:3128", True),
        ("180", True),
        ("pypi.example.org", True),
        ("/opt/wheels", False),
        ("~/wheels", False),
        ("file:///opt/wheels", False),
        ("https://pypi.example.org/simple /opt/wheels", False),
        ("corp=file:///opt/wheels", False),
        ("http://127.0.0.1:3128", False),
        ("http://localhost:3141/root/pypi", False),
        ("http://[::1]:3128", False),
        ("127.0.0.53", False),
    ],
)
def test_settings_that_mean_the_same_elsewhere(value: str, portable: bool) -> None:
    assert machine.is_portable(value) is portable


def test_proxies_reach_guests_in_both_spellings_and_spare_the_lab() -> None:
    found = machine.proxy_environment(
        {"HTTPS_PROXY": "http://proxy:3128", "no_proxy": "intra, .corp", "HOME": "/root"}, ["nas", ".lab.test"]
    )

    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    assert found["no_proxy"] == found["NO_PROXY"] == "intra,.corp,localhost,127.0.0.1,::1,nas,.lab.test"


@pytest.mark.parametrize("environment", [{}, {"no_proxy": "x"}, {"http_proxy": "http://127.0.0.1:3128"}])
def test_without_a_proxy_that_guests_can_reach_there_is_none(environment: dict[str, str]) -> None:
    assert machine.proxy_environment(environment, ["nas"]) == {}


def test_pip_settings_come_from_files_and_environment_less_local_paths() -> None:
    weak = "[global]\nindex-url = https://a/simple\ntimeout = 30\nfind-links = /opt/wheels\ncert = /etc/x.pem\n"
    strong = "[install]\nextra_index_url =\n    https://b/simple\n    https://c/simple\n"
    environment = {"PIP_INDEX_URL": "https://d/simple", "PIP_FIND_LINKS": "/opt/wheels", "PIP_PROXY": "http://[::1]:1"}

    assert machine.pip_settings(environment, [weak, "no section", strong]) == {
        "index-url": "https://d/simple",
        "extra-index-url": "https://b/simple https://c/simple",
        "timeout": "30",
    }


def test_uv_settings_become_environment_variables() -> None:
    file = """
        native-tls = true
        extra-index-url = ["https://b/simple"]
        [[index]]
        url = "https://a/simple"
        default = true
        [[index]]
        url = "https://c/simple"
    """
    assert machine.uv_environment({"UV_HTTP_TIMEOUT": "90", "UV_CACHE_DIR": "/big"}, ["not = [toml", file]) == {
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_HTTP_TIMEOUT": "90",
    }
    assert machine.uv_environment({"UV_INDEX_URL": "file:///opt/simple"}, []) == {}


def test_apt_settings_say_how_to_fetch_and_nothing_else() -> None:
    dump = "\n".join(
        [
            "APT::Architecture amd64;",
            'Acquire::http::Proxy "http://proxy:3128";',
            'Acquire::https::Proxy "http://127.0.0.1:3128";',
            'Acquire::http::Proxy-Auto-Detect "/usr/bin/find-proxy";',
            'Acquire::https::CaInfo "/etc/corp.pem";',
            'Acquire::Check-Valid-Until "false";',
            'Acquire::Languages:: "none";',
            'Acquire::http::User-Agent "";',
        ]
    )
    assert machine.apt_settings(dump) == (
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy "http://proxy:3128";',
    )


def test_the_first_mirror_named_for_each_archive_is_used() -> None:
    targets = (
        "Debian http://mirror/debian/\nDebian http://other/debian/\nDocker https://docker\n"
        "Debian-Security http://mirror/security\n"
    )
    assert machine.debian_mirrors(targets, {}) == ("http://mirror/debian", "http://mirror/security")


def test_the_environment_names_the_mirror_that_the_machine_lacks() -> None:
    named = {"LAB_DEBIAN_SECURITY_MIRROR": "http://mine/security"}
    assert machine.debian_mirrors("Debian http://mirror/debian", named)[1] == "http://mine/security"


def test_without_a_mirror_that_a_guest_can_use_the_variable_is_named() -> None:
    with pytest.raises(LabError, match="LAB_DEBIAN_SECURITY_MIRROR"):
        machine.debian_mirrors("Debian http://mirror/debian\nDebian-Security file:/x", {})


def test_name_servers_are_those_a_guest_can_reach() -> None:
    stub = "# stub\nnameserver 127.0.0.53\noptions edns0\n"
    real = "nameserver fd00::1\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n"

    assert machine.nameservers([stub, real]) == ("10.0.0.1", "10.0.0.2")
    assert machine.nameservers([stub]) == ()


def test_certificates_make_pip_and_python_trust_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_certificates", lambda: {"corp.crt": "PEM"})
    found = machine.collect({"HOME": "/nonexistent"}, "", MIRRORS)

    assert found.pip["cert"] == machine.CA_BUNDLE
    assert found.environment["SSL_CERT_FILE"] == machine.CA_BUNDLE
    assert f"cert = {machine.CA_BUNDLE}\n" in found.pip_conf
