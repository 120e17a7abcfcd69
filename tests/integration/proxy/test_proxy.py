"""What clients and browsers see of MLflow through nginx, as the role configures it."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import warnings
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.integration.proxy.conftest import PREFIX
from tests.integration.proxy.site import HERE, MAIN, NAME, Authority, Proxy, Server, free_port, proxy, render
from tests.integration.releases import NEWEST, release

SEARCH = f"{PREFIX}/ajax-api/2.0/mlflow/experiments/search"
ARTIFACT = f"{PREFIX}/api/2.0/mlflow-artifacts/artifacts/range.bin"
JSON = "application/json"
Site = tuple[Proxy, Server]


def ask_plainly(port: int, path: str, name: str) -> tuple[int, str | None]:
    """Return the status without TLS, and where to go instead."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("Location")


def test_health_and_pages_below_the_prefix(site: Site) -> None:
    running, _server = site
    assert running.ask("GET", f"{PREFIX}/health")[::2] == (200, b"OK")
    status, headers, _content = running.ask("GET", "/")
    assert (status, headers["location"]) == (302, f"{PREFIX}/")
    status, headers, content = running.ask("GET", f"{PREFIX}/")
    assert (status, headers["strict-transport-security"]) == (200, "max-age=600")
    (script,) = re.findall(r'src="(static-files/static/js/main\.\w+\.js)"', content.decode())
    assert running.ask("GET", f"{PREFIX}/{script}")[0] == 200
    assert headers["server"] == "nginx"


def test_the_own_pages_may_post_and_others_may_not(site: Site) -> None:
    running, _server = site
    statuses = [
        running.ask("POST", SEARCH, '{"max_results": 1}', Origin=origin, Content_Type=JSON)[0]
        for origin in (f"https://{NAME}:{running.port}", "https://evil.example.org", f"http://{NAME}:{running.port}")
    ]
    assert statuses == [200, 403, 403]


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "//metrics", "/a/../metrics", "/%6detrics"])
def test_counters_are_for_the_inside(site: Site, path: str) -> None:
    """The server itself tells them."""
    running, server = site
    status, headers, content = running.ask("GET", path)
    assert (status, headers["server"], b"nginx" in content) == (404, "nginx", True)
    assert ask_plainly(server.port, "/metrics", f"{NAME}:{running.port}")[0] == 200


def test_another_name_is_nobody(site: Site) -> None:
    """Nor does the server know it, should somebody reach it past the proxy."""
    running, server = site
    for path in (f"{PREFIX}/health", SEARCH):
        assert running.ask("GET", path, Host="evil.example.org")[0] == 421
    assert ask_plainly(server.port, SEARCH, "evil.example.org")[0] == 403


def test_plain_http_is_sent_to_tls(site: Site) -> None:
    running, _server = site
    assert ask_plainly(running.plain, "/mlflow/?a=b", NAME) == (301, f"https://{NAME}:{running.port}/mlflow/?a=b")
    assert ask_plainly(running.plain, "/mlflow/", "evil.example.org") == (421, None)
    challenge = running.scratch / "challenges/.well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("proof")
    assert ask_plainly(running.plain, "/.well-known/acme-challenge/token", NAME)[0] == 200


def test_plain_http_on_the_port_of_tls_is_refused(site: Site) -> None:
    assert ask_plainly(site[0].port, "/", NAME)[0] == 400


def test_a_run_with_an_artifact_by_the_client(site: Site) -> None:
    running, server = site
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))},
        "MLFLOW_TRACKING_URI": f"https://{NAME}:{running.port}{PREFIX}",
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(running.authority.file),
        "DO_NOT_TRACK": "1",
    }
    command = [str(release(NEWEST).python), str(HERE / "log_run.py"), NAME, str(64 * 2**20)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=server.directory)
    assert ran.returncode == 0, ran.stderr
    first, second = json.loads(ran.stdout.splitlines()[-1])["hashes"]
    assert first == second
    assert "temporary file" not in running.complaints()


def test_an_artifact_is_not_kept_in_the_server_s_memory(site: Site) -> None:
    """Below its prefix MLflow would keep it there twice, and store nothing of one without a length."""
    running, server = site
    before = server.memory()
    assert running.ask("PUT", ARTIFACT, iter([bytes(2**20)] * 256), Content_Length=str(2**28))[0] == 200
    assert server.memory() < before + 128
    assert running.ask("PUT", ARTIFACT, iter([b"0123", b"4567"]))[0] == 200
    assert running.ask("GET", ARTIFACT)[2] == b"01234567"


def test_an_artifact_is_deleted(site: Site) -> None:
    """Which MLflow knows below its prefix only."""
    running, server = site
    stored = server.directory / "artifacts" / Path(ARTIFACT).name
    assert running.ask("PUT", ARTIFACT, b"to be deleted")[0] == 200
    assert stored.read_bytes() == b"to be deleted"
    assert running.ask("DELETE", ARTIFACT)[0] == 200
    assert not stored.exists()


def test_a_part_of_an_artifact(site: Site) -> None:
    running, _server = site
    assert running.ask("PUT", ARTIFACT, b"0123456789")[0] == 200
    status, headers, content = running.ask("GET", ARTIFACT, Range="bytes=2-5")
    assert (status, headers["content-range"], content) == (206, "bytes 2-5/10", b"2345")


@pytest.mark.parametrize("content", [b"", b"0123456789", bytes(2**20)], ids=["empty", "small", "large"])
def test_an_artifact_of_unknown_length_arrives(site: Site, content: bytes) -> None:
    """Sent in chunks, as MLflow's own client sends empty files, and others those that they make on the way."""
    running, _server = site
    assert running.ask("PUT", ARTIFACT, iter((content,)))[0] == 200
    assert running.ask("GET", ARTIFACT)[::2] == (200, content)


def test_the_server_alone_loses_an_artifact_of_unknown_length(site: Site) -> None:
    """It says that it has it: what nginx is for here."""
    running, server = site
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("PUT", ARTIFACT, iter((b"0123456789",)), {"Host": f"{NAME}:{running.port}"})
        assert connection.getresponse().status == 200
    assert running.ask("GET", ARTIFACT)[::2] == (200, b"")


def versions(running: Proxy) -> set[str]:
    """Return the versions of TLS that a proxy speaks with a client that speaks all of them."""
    spoken = set()
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=running.authority.file)
        # Debian's own OpenSSL would not offer the oldest otherwise.
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = context.maximum_version = version
        with suppress(ssl.SSLError), running.connect(context=context) as connected:
            spoken.add(str(connected.version()))
    return spoken


def test_the_intermediate_profile(site: Site) -> None:
    assert versions(site[0]) == {"TLSv1.2", "TLSv1.3"}


def test_the_modern_profile_with_an_acme_clients_files(authority: Authority, public_directory: Path) -> None:
    scratch, ports = public_directory / "modern", [free_port() for _each in range(2)]
    inputs = {
        "mlflow_tracking_uri": f"https://{NAME}:{ports[0]}",
        "mlflow_proxy_redirect_port": ports[1],
        "mlflow_proxy_servers": [{"name": "ml1", "address": "127.0.0.1", "port": 9}],
        "mlflow_proxy_tls_profile": "modern",
        "mlflow_proxy_acme_directory": str(scratch),
    }
    scratch.mkdir()
    # As certbot lays them out.
    for link, name in (("fullchain.pem", "good.pem"), ("privkey.pem", "good.key")):
        (scratch / link).symlink_to(authority.directory / name)
    render(scratch, inputs)
    with proxy(scratch, ports, authority) as running:
        assert versions(running) == {"TLSv1.3"}


@pytest.mark.parametrize(("label", "reason"), [("old", "expired"), ("new", "not yet valid"), ("other", "mismatch")])
def test_clients_refuse_what_the_preflight_refuses(site: Site, public_directory: Path, label: str, reason: str) -> None:
    """With the rendered file, but for the certificate: the role would not write it."""
    one, scratch, ports = site[0], public_directory / label, [free_port() for _each in range(2)]
    text = (one.scratch / "conf.d/mlflow.conf").read_text().replace("/good.", f"/{label}.")
    for before, after in zip((one.port, one.plain), ports, strict=True):
        text = text.replace(f":{before}", f":{after}")
    (scratch / "conf.d").mkdir(parents=True)
    (scratch / "conf.d/mlflow.conf").write_text(text)
    (scratch / "nginx.conf").write_text(MAIN.format(scratch=scratch))
    with proxy(scratch, ports, one.authority) as running, pytest.raises(ssl.SSLCertVerificationError, match=reason):
        running.connect()
