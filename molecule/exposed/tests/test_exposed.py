"""What clients of the deployed site see, and what becomes of a renewed certificate."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path
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


def artifact(run: dict[str, Any], name: str) -> str:
    """Return where a file of a run is stored."""
    experiment = Path(run["artifact_uri"]).parents[1].name
    return f"{URL}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts/{name}"


def test_an_artifact_is_for_accounts_only(site: Host, run: dict[str, Any]) -> None:
    """The proxy sends it to the address without the prefix, and MLflow asks for the account there, too."""
    for sent in (("--upload-file", "/etc/hostname"), (), ("--request", "DELETE")):
        for who in (("alice", "wrong password"), ("nobody", "knows this one"), ("", "")):
            assert status(site, artifact(run, "not-alices"), *sent, who=who) == 401
    assert status(site, artifact(run, "not-alices")) == 404


def test_an_upload_without_a_length_arrives(site: Host, run: dict[str, Any]) -> None:
    """Which MLflow with accounts would answer with 200 and store as an empty file."""
    site.check_output("echo from a pipe >/tmp/piped")
    sent = ("--upload-file", "/tmp/piped", "--header", "Transfer-Encoding: chunked")
    assert status(site, artifact(run, "piped"), *sent) == 200
    user = shlex.quote(":".join(ALICE))
    got = site.check_output(f"curl --silent --cacert {AUTHORITY} --user {user} {artifact(run, 'piped')}")
    assert got == "from a pipe"


def test_a_large_artifact_leaves_nothing_on_the_proxys_disk(site: Host, run: dict[str, Any]) -> None:
    """Where nginx would keep it, there is room for 4 MB while 256 MB pass through, in both directions."""
    places = [f"/var/lib/nginx/{name}" for name in ("body", "proxy")]
    user = shlex.quote(":".join(ALICE))
    site.check_output("head --bytes=256M /dev/urandom >/var/tmp/large")
    for place in places:
        site.check_output(f"mount -t tmpfs -o size=4m,uid=www-data,mode=0700 tmpfs {place}")
    try:
        assert status(site, artifact(run, "large"), "--upload-file", "/var/tmp/large") == 200
        get = f"curl --silent --cacert {AUTHORITY} --user {user} {artifact(run, 'large')}"
        assert site.check_output(f"{get} | cmp - /var/tmp/large && echo same") == "same"
    finally:
        for place in places:
            site.check_output(f"umount {place}")
        site.check_output("rm /var/tmp/large")


def test_what_is_larger_than_the_limit_is_refused(site: Host, run: dict[str, Any]) -> None:
    site.check_output("truncate --size=5G /var/tmp/five")
    assert status(site, artifact(run, "five"), "--upload-file", "/var/tmp/five") == 413
    site.check_output("rm /var/tmp/five")


def test_strangers_get_nothing_from_the_servers_port(site: Host, server_address: str) -> None:
    """The server listens on the loopback only, so that somebody else has to listen to be closed off."""

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((server_address, 5000), 3):
            return True
        return False

    site.check_output(f"systemd-run --unit lab-open --quiet python3 -m http.server 5000 --bind {server_address}")
    try:
        site.check_output(
            f"for each in $(seq 100); do ss -Hltn src {server_address}:5000 | grep -q . && exit; sleep 0.2; done; exit 1"
        )
        assert not answers()
        # Each flushes all rules, and ours come back; the first is a start.
        for action in ("start", "restart", "reload"):
            site.check_output(f"systemctl {action} nftables.service")
            site.check_output("for each in $(seq 100); do nft list table inet mlflow && exit; sleep 0.1; done; exit 1")
            assert not answers()
        site.check_output("systemctl stop mlflow-firewall.service")
        assert answers()
    finally:
        site.check_output("systemctl stop lab-open; systemctl start mlflow-firewall.service")


def test_a_real_prometheus_scrapes_the_server(site: Host) -> None:
    ask = "curl --silent --get --data-urlencode query='up{job=\"mlflow\"} == 1' http://localhost:9090/api/v1/query"
    deadline = time.monotonic() + 120
    while not (found := json.loads(site.check_output(ask))["data"]["result"]):
        assert time.monotonic() < deadline, site.check_output("curl --silent http://localhost:9090/api/v1/targets")
        time.sleep(1)
    assert [one["metric"]["instance"] for one in found] == ["localhost:5000"]


def test_a_renewed_certificate_is_read(site: Host, replace: Callable[[int], None]) -> None:
    master = site.check_output("cat /run/nginx.pid")
    replace(2)
    assert site.check_output("cat /run/nginx.pid") == master
    assert status(site, f"{URL}/health") == 200
