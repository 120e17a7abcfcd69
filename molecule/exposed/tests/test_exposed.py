"""What clients of the deployed site see, and what becomes of a renewed certificate."""

from __future__ import annotations

import shlex
import time
from typing import Any

from testinfra.host import Host

URL = "https://ml.lab.test/mlflow"
AUTHORITY = "/etc/mlflow-proxy/ca.pem"
ALICE = ("alice", "alice's %: of the lab")
SEARCH = f"{URL}/ajax-api/2.0/mlflow/experiments/search"


def status(site: Host, url: str, *arguments: str, who: tuple[str, str] = ALICE) -> int:
    """Return the status that a client gets who knows the authority, and has an account."""
    command = ["curl", "--silent", "--cacert", AUTHORITY, "--output", "/dev/null", "--write-out", "%{http_code}"]
    return int(site.check_output(shlex.join([*command, "--user", ":".join(who), *arguments, url])))


def serial(site: Host) -> str:
    """Return the number of the certificate that nginx shows."""
    shown = "openssl s_client -connect 127.0.0.1:443 -servername ml.lab.test </dev/null 2>/dev/null"
    return str(site.check_output(f"{shown} | openssl x509 -noout -serial"))


def test_a_run_by_the_client(run: dict[str, Any]) -> None:
    assert run["run_id"]


def test_pages_and_who_may_post(site: Host) -> None:
    post = ("--json", '{"max_results": 1}')
    assert status(site, f"{URL}/") == 200
    assert status(site, f"{URL}/health") == 200
    assert status(site, SEARCH, *post, "--header", "Origin: https://ml.lab.test") == 200
    assert status(site, SEARCH, *post, "--header", "Origin: https://evil.example.org") == 403
    assert status(site, f"{URL}/health", "--header", "Host: evil.example.org") == 421
    assert status(site, "http://ml.lab.test/mlflow/") == 301
    assert status(site, f"{URL}/", who=("alice", "wrong password")) == 401
    assert status(site, SEARCH, *post, who=("nobody", "knows this one")) == 401


def test_the_server_is_reached_through_the_proxy_only(site: Host) -> None:
    assert site.socket("tcp://127.0.0.1:5000").is_listening
    assert not site.socket("tcp://0.0.0.0:5000").is_listening


def test_the_site_of_the_package_is_left_alone(site: Host) -> None:
    """It is the default on its port, so that another name gets that."""
    assert status(site, "http://127.0.0.1/") == 200


def test_keys_are_roots(site: Host) -> None:
    for name in ("ca.key", "proxy.key"):
        found = site.file(f"/etc/mlflow-proxy/{name}")
        assert (found.user, found.mode) == ("root", 0o600)


def test_a_renewed_certificate_is_read(site: Host) -> None:
    """Replaced as an ACME client does, beside a running nginx."""
    before, master = serial(site), site.check_output("cat /run/nginx.pid")
    site.check_output(
        "cd /etc/mlflow-proxy && openssl req -new -key proxy.key -subj /CN=ml.lab.test -out /tmp/new.csr "
        "&& echo subjectAltName=DNS:ml.lab.test > /tmp/names "
        "&& openssl x509 -req -in /tmp/new.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile /tmp/names "
        "-out /etc/mlflow-proxy/new.pem && mv new.pem proxy.pem"
    )
    deadline = time.monotonic() + 120
    while serial(site) == before:
        assert time.monotonic() < deadline, site.check_output("journalctl --unit mlflow-proxy-certificate --no-pager")
        time.sleep(1)
    assert site.check_output("cat /run/nginx.pid") == master
    assert status(site, f"{URL}/health") == 200
