"""What the role signs by an authority of its own, on this machine: made once, and anew when it is about to expire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.databases import demand_root
from tests.integration.proxy.site import NAME

#: One more than the role takes for soon, and one less.
FRESH, SOON = 31, 29


def authority(directory: Path) -> str:
    """Run the role's tasks with another directory, and return what Ansible said."""
    task = {"ansible.builtin.include_role": {"name": "selfhosted.mlflow.mlflow_proxy", "tasks_from": "authority"}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
    (directory / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    given = {
        "ansible_python_interpreter": sys.executable,
        "__mlflow_proxy_authority": str(directory / "authority"),
        "mlflow_proxy_names": [NAME, "192.0.2.1"],
        # As in check mode: there is no service here that could be reloaded.
        "__mlflow_proxy_to_come": True,
    }
    command = ["ansible-playbook", "-i", "localhost,", str(directory / "play.yml"), "-e", json.dumps(given)]
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    return ended.stdout + ended.stderr


def openssl(*arguments: str | Path) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout


def sign(place: Path, days: int) -> str:
    """Have the authority sign a certificate for the same request but for so many days, and return its number."""
    signed, request = place / "proxy.pem", place / "again.csr"
    openssl("x509", "-x509toreq", "-copy_extensions", "copy", "-in", signed, "-signkey", place / "proxy.key",
            "-out", request)  # fmt: skip
    openssl("x509", "-req", "-in", request, "-copy_extensions", "copy", "-days", str(days), "-out", signed,
            "-CA", place / "ca.pem", "-CAkey", place / "ca.key", "-CAcreateserial")  # fmt: skip
    return number(signed)


def number(path: Path) -> str:
    return openssl("x509", "-noout", "-serial", "-in", path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an authority that has just been made."""
    demand_root()
    directory = tmp_path_factory.mktemp("authority")
    said = authority(directory)
    assert "failed=0" in said, said
    return directory


def test_clients_of_the_authority_accept_what_it_signed(made: Path) -> None:
    place = made / "authority"
    check = ("verify", "-purpose", "sslserver", "-CAfile", place / "ca.pem")
    assert "OK" in openssl(*check, "-verify_hostname", NAME, place / "proxy.pem")
    assert "OK" in openssl(*check, "-verify_ip", "192.0.2.1", place / "proxy.pem")


@pytest.mark.parametrize(("days", "changed"), [(FRESH, 0), (SOON, 2)])
def test_it_is_signed_anew_when_it_is_about_to_expire(made: Path, days: int, changed: int) -> None:
    """Changed are the certificate, and nginx that is to read it."""
    place = made / "authority"
    before, authoritys = sign(place, days), number(place / "ca.pem")
    assert f"changed={changed} " in authority(made)
    assert (number(place / "proxy.pem") != before) is bool(changed)
    assert number(place / "ca.pem") == authoritys
    if changed:
        openssl("x509", "-noout", "-checkend", str(390 * 86400), "-in", place / "proxy.pem")


def test_what_is_no_certificate_is_left_to_somebody_to_look_at(made: Path) -> None:
    spoilt = made / "authority/proxy.pem"
    spoilt.write_text("not a certificate")
    said = authority(made)
    assert "failed=1" in said, said
    assert spoilt.read_text() == "not a certificate"
