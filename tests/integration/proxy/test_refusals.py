"""What the modules refuse on a real host, with OpenSSL's and nginx's own words; and what they leave alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import certificate
from tests.integration.proxy.site import MAIN, NAME, Authority, module

INPUTS = ("mlflow_proxy_certificate", "mlflow_proxy_key")


def run(command: Sequence[str]) -> tuple[int, str, str]:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return ran.returncode, ran.stdout, ran.stderr


def judged(certificate_path: Path, key_path: Path) -> str:
    """Return what is found wrong with two files."""
    paths = str(certificate_path), str(key_path)
    seen = certificate.look(*paths, run)
    found = [*certificate.problems(INPUTS, paths, [NAME], seen)]
    if seen.certificate:
        found += certificate.dated(paths[0], seen.certificate, time.time())
    return "\n".join(one.found for one in found)


def test_certificates_are_judged_by_what_openssl_says(authority: Authority, tmp_path: Path) -> None:
    directory, good = authority.directory, (authority.directory / "good.pem", authority.directory / "good.key")
    authority.encrypt("good", tmp_path / "encrypted.key")
    (tmp_path / "no.pem").write_text("no certificate")
    assert judged(*good) == ""
    assert "has expired on 2026-02-01" in judged(directory / "old.pem", directory / "old.key")
    assert "is valid from 2049-01-01" in judged(directory / "new.pem", directory / "new.key")
    assert f"is for other.example.org, not for {NAME}" in judged(directory / "other.pem", directory / "other.key")
    assert "is not that of the first certificate" in judged(good[0], directory / "other.key")
    assert "with a passphrase" in judged(good[0], tmp_path / "encrypted.key")
    assert "No such file" in judged(tmp_path / "nothing.pem", good[1])
    assert "no certificate in PEM" in judged(tmp_path / "no.pem", good[1])


def test_the_preflight_refuses_an_expired_certificate(authority: Authority) -> None:
    given = {
        "names": [NAME],
        "servers": [{"name": "ml1", "address": "127.0.0.1", "port": 5000}],
        "port": 9443,
        "redirect_port": 0,
        "certificate": str(authority.directory / "old.pem"),
        "key": str(authority.directory / "old.key"),
    }
    refused = module("proxy_preflight", given)
    assert refused["failed"] is True
    # A machine that runs tests may have no systemd.
    (problem,) = [one for one in refused["problems"] if "systemd" not in one["found"]]
    assert "has expired on 2026-02-01" in problem["found"]


@pytest.fixture
def nginx(programs: None, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/theirs.conf").write_text("server { listen 127.0.0.1:9 default_server; }\n")
    (tmp_path / "nginx.conf").write_text(MAIN.format(scratch=tmp_path))
    return {"path": str(tmp_path / "conf.d/mlflow.conf"), "main": str(tmp_path / "nginx.conf")}


def test_only_what_nginx_accepts_is_written(nginx: dict[str, str]) -> None:
    """Alone the second would be right, as would the first beside another site."""
    ours, directory = Path(nginx["path"]), Path(nginx["main"]).parent
    good = "server { listen 127.0.0.1:9; server_name ml; }\n"
    assert module("nginx_file", {**nginx, "content": good})["changed"] is True
    assert module("nginx_file", {**nginx, "content": good})["changed"] is False
    before = sorted(directory.rglob("*"))

    for wrong, why in (
        ("server { listen 127.0.0.1:9 default_server; }\n", "a duplicate default server for 127.0.0.1:9"),
        ("server { listen 127.0.0.1:9; nonsense; }\n", f'unknown directive "nonsense" in {ours}:1'),
    ):
        refused = module("nginx_file", {**nginx, "content": wrong})
        assert refused["failed"] is True
        assert why in refused["msg"]
        assert ours.read_text() == good
    # Nor is anything left behind.
    assert sorted(directory.rglob("*")) == before


def test_a_main_file_that_includes_nothing_of_ours(nginx: dict[str, str]) -> None:
    Path(nginx["main"]).write_text("events {}\nhttp {}\n")
    assert "includes no" in module("nginx_file", {**nginx, "content": "# ours\n"})["msg"]
