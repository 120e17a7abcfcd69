"""The client of Nomad's HTTP API, against a web server that answers as Nomad's source does."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_api, nomad_errors
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import Access, NomadApi, segment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from tests.unit.plugins.fake_tracking import Answer, serve

NEEDLE = "0f3c1a2e-s3cr3t"
SELF = "/v1/agent/self"


def error_of(answer: Answer, path: str = SELF, method: str = "get", **access: Any) -> NomadError:
    with serve(lambda asked: answer) as fake, pytest.raises(NomadError) as caught:
        getattr(NomadApi(Access(fake.url, **access)), method)(path)
    return caught.value


@pytest.mark.parametrize(("token", "sent"), [("", None), (NEEDLE, NEEDLE)])
def test_sends_the_token_as_a_header_only(token: str, sent: str | None) -> None:
    with serve(lambda asked: Answer(body={"ok": 1})) as fake:
        assert NomadApi(Access(fake.url, token=token)).get(SELF) == {"ok": 1}
    assert [(asked.path, asked.headers.get("x-nomad-token")) for asked in fake.asked] == [(SELF, sent)]


def test_says_namespace_and_region_and_encodes_the_query() -> None:
    with serve(lambda asked: Answer()) as fake:
        api = NomadApi(Access(fake.url + "/nomad/", namespace="ml", region="eu"))
        api.get(f"/v1/job/{segment('a/b c')}", {"purge": "true & ä"})
        api.in_namespace("other").get(SELF)
    assert [asked.path for asked in fake.asked] == [
        "/nomad/v1/job/a%2Fb%20c?namespace=ml&region=eu&purge=true%20%26%20%C3%A4",
        "/nomad/v1/agent/self?namespace=other&region=eu",
    ]


def test_sends_bodies_as_json() -> None:
    with serve(lambda asked: Answer()) as fake:
        NomadApi(Access(fake.url)).post("/v1/jobs", {"Job": {"ID": "ä"}})
    assert (fake.asked[0].method, fake.asked[0].body) == ("POST", {"Job": {"ID": "ä"}})


@pytest.mark.parametrize(("body", "value"), [(b"null", None), (b"", None), (b"[]", []), (b"3\n", 3)])
def test_takes_every_json(body: bytes, value: Any) -> None:
    with serve(lambda asked: Answer(body=body)) as fake:
        assert NomadApi(Access(fake.url)).get(SELF) == value


def test_takes_text() -> None:
    with serve(lambda asked: Answer(body=b"one\n\xfftwo\n")) as fake:
        assert NomadApi(Access(fake.url)).text("/v1/client/fs/logs/a") == "one\n\ufffdtwo\n"


@pytest.mark.parametrize(
    ("answer", "reason", "said", "advised"),
    [
        (Answer(403, b"Permission denied"), "forbidden", "403: Permission denied", 'agent { policy = "read" }'),
        (Answer(403, b"ACL token not found"), "token", "ACL token not found", "this cluster knows"),
        (Answer(403, b"ACL token expired"), "token", "ACL token expired", "has not expired"),
        (
            Answer(403, b"Job registration, dispatch, and scale are disabled by the scheduler configuration"),
            "disabled",
            "Job registration",
            "management token",
        ),
        (Answer(404, b"job not found"), "not_found", "404: job not found", "namespace"),
        (Answer(404, b""), "not_found", "404: nothing", "address"),
        (Answer(404, b"<html><h1>404 Not Found</h1>"), "strange", "not Nomad's", "4646"),
        (Answer(400, b"Job spec is empty"), "rejected", "400: Job spec is empty", "objects"),
        (Answer(400, b"Client sent an HTTP request to an HTTPS server.\n"), "tls", "speaks TLS", "https://"),
        (Answer(500, b"No cluster leader"), "no_leader", "500: No cluster leader", "nomad server members"),
        (Answer(500, b"rpc error: No cluster leader"), "no_leader", "No cluster leader", "majority"),
        (Answer(500, b"No path to region"), "region", "No path to region", "region"),
        (Answer(404, b"No path to node"), "not_found", "No path to node", "name"),
        (Answer(500, b"No path to node"), "node", "No path to node", "node status"),
        (Answer(500, b"boom\n\x1b[31m"), "failed", "answers 500: boom [31m", "journalctl -u nomad"),
        (
            Answer(302, b"", {"Location": "https://sso.example.org/login?state=abc"}),
            "redirected",
            "leads to https://sso.example.org/login",
            "redirects aren't followed",
        ),
        (Answer(200, b"<html>Log in</html>"), "strange", "<html>Log in</html>", "4646"),
    ],
)
def test_answers_that_are_no_use(answer: Answer, reason: str, said: str, advised: str) -> None:
    error = error_of(answer, token=NEEDLE)

    assert (error.reason, error.status) == (reason, answer.status)
    assert said in str(error)
    assert "\n" not in str(error)
    assert advised in error.remedy
    assert error.explain() == f"{error}.\n    instead: {error.remedy}."


@pytest.mark.parametrize(
    ("method", "path", "rights"),
    [
        ("get", "/v1/agent/self", 'agent { policy = "read" }'),
        ("get", "/v1/node/1234", 'node { policy = "read" }'),
        ("get", "/v1/nodes", 'node { policy = "read" }'),
        ("post", "/v1/jobs/parse", 'namespace "ml" { capabilities = ["submit-job"] }'),
        ("put", "/v1/validate/job", 'namespace "ml" { capabilities = ["read-job"] }'),
        ("post", "/v1/job/mlflow/plan", 'namespace "ml" { capabilities = ["submit-job"] }'),
        ("post", "/v1/jobs", 'host_volume "NAME" { policy = "write" }'),
        ("delete", "/v1/job/mlflow", 'namespace "ml" { capabilities = ["submit-job"] }'),
        ("get", "/v1/job/mlflow/deployment", 'namespace "ml" { capabilities = ["read-job"] }'),
        ("get", "/v1/evaluation/1", 'namespace "ml" { capabilities = ["read-job"] }'),
        ("get", "/v1/client/fs/logs/1", 'namespace "ml" { capabilities = ["read-logs"] }'),
    ],
)
def test_says_which_rights_are_missing(method: str, path: str, rights: str) -> None:
    denied = Answer(403, b"Permission denied")
    assert rights in error_of(denied, path, method, namespace="ml", token=NEEDLE).remedy
    assert error_of(denied, path, method, namespace="ml").remedy.startswith("no token was given")


def test_rights_are_for_the_default_namespace_when_none_is_given() -> None:
    assert 'namespace "default"' in error_of(Answer(403, b"Permission denied"), "/v1/job/x").remedy


def test_a_plain_connection_that_is_closed() -> None:
    call = nomad_errors.Call("http://nomad.example.org", "GET", SELF)
    assert "https://" in nomad_errors.unreachable(call, ConnectionResetError(104, "x")).remedy


@pytest.mark.parametrize("status", [200, 302, 400, 403, 404, 500])
def test_no_error_repeats_the_token(status: int) -> None:
    error = error_of(Answer(status, f"you sent {NEEDLE}".encode()), token=NEEDLE)

    assert NEEDLE not in error.explain() + error.text
    assert error.__suppress_context__


def test_redirects_are_not_followed() -> None:
    with (
        serve(lambda asked: Answer()) as other,
        serve(lambda asked: Answer(307, b"", {"Location": f"{other.url}/x"})) as fake,
        pytest.raises(NomadError),
    ):
        NomadApi(Access(fake.url, token=NEEDLE)).get(SELF)
    assert other.asked == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda asked: Answer()) as proxy, serve(lambda asked: Answer()) as fake:
        for name in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        NomadApi(Access(fake.url, token=NEEDLE)).get(SELF)
    assert (len(proxy.asked), len(fake.asked)) == (0, 1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_nothing_listens() -> None:
    with pytest.raises(NomadError) as caught:
        NomadApi(Access(f"http://127.0.0.1:{free_port()}")).get(SELF)
    assert (caught.value.reason, caught.value.status) == ("refused", 0)


def test_plain_http_where_tls_is_asked() -> None:
    with serve(lambda asked: Answer()) as fake, pytest.raises(NomadError) as caught:
        NomadApi(Access(fake.url.replace("http:", "https:"))).get(SELF)
    assert caught.value.reason == "tls"
    assert "http://" in caught.value.remedy


@pytest.mark.parametrize(
    ("cause", "reason", "advised"),
    [
        (socket.gaierror(-2, "x"), "name", "/etc/hosts"),
        (ConnectionResetError(104, "x"), "closed", "client_cert"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "closed", "client_cert"),
        (OSError(113, "No route to host"), "network", "firewall"),
        (RuntimeError(), "unknown", "proxy"),
    ],
)
def test_other_failures(cause: Exception, reason: str, advised: str) -> None:
    error = nomad_errors.unreachable(nomad_errors.Call("https://nomad.example.org", "GET", SELF), cause)

    assert error.reason == reason
    assert advised in error.remedy


def slowly() -> None:
    time.sleep(0.2)


@pytest.mark.parametrize(
    "answer",
    [Answer(body=[b"{}"], pause=lambda: time.sleep(5)), Answer(body=[b" "] * 100, pause=slowly)],
    ids=["silent", "drips"],
)
def test_ends_in_time(answer: Answer) -> None:
    began = time.monotonic()
    error = error_of(answer, timeout=0.5)

    assert error.reason == "timed_out"
    assert time.monotonic() - began < 3


def test_ends_in_time_when_the_name_service_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*arguments: object, **options: object) -> None:
        time.sleep(2)
        raise socket.gaierror(-3, "too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(NomadError, match=r"no answer within 0\.3 s"):
        NomadApi(Access("http://nomad.example.org", timeout=0.3)).get(SELF)
    assert time.monotonic() - began < 1.5


def test_too_long_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nomad_api, "MAX_ANSWER_BYTES", 1000)
    assert "more than 1000 bytes" in str(error_of(Answer(body=b"x" * 2000)))


def changed(**values: Any) -> Callable[[], Access]:
    return lambda: Access(**{"address": "https://nomad.example.org:4646", **values})


@pytest.mark.parametrize(
    ("access", "part"),
    [
        (changed(), ""),
        (changed(token=NEEDLE, ca_bundle="/a", client_cert="/b", client_key="/c", tls_server_name="n"), ""),
        (changed(address=""), "address"),
        (changed(address="nomad.example.org"), "address"),
        (changed(address="unix:///run/nomad.sock"), "address"),
        (changed(address="http://n:x"), "address"),
        (changed(address="http://[::1"), "address"),
        (changed(address="http://n\n.example"), "address"),
        (changed(address=f"http://u:{NEEDLE}@n"), "neither credentials"),
        (changed(address="http://n?x=1"), "query"),
        (changed(client_cert="/b"), "both"),
        (changed(client_key="/c"), "both"),
        (changed(address="http://n", ca_bundle="/a"), "https://"),
        (changed(address="http://n", tls_server_name="n"), "https://"),
        (changed(token=f"{NEEDLE}\nX-Other: 1"), "can't be sent"),
        (changed(token=f"{NEEDLE}€"), "can't be sent"),
        (changed(timeout=0), "greater than 0"),
    ],
)
def test_bad_inputs(access: Callable[[], Access], part: str) -> None:
    problem = access().problem()

    assert part in problem
    assert bool(problem) is bool(part)
    assert NEEDLE not in problem


def test_the_token_is_not_in_a_traceback() -> None:
    access = Access("http://n", NEEDLE)
    assert NEEDLE not in repr(access) + repr(NomadApi(access)._call("GET", SELF))


def test_arguments_and_access_belong_together() -> None:
    given = {name: option["default"] for name, option in nomad_api.arguments().items()}
    assert nomad_api.access({**given, "job": "x"}) == Access("http://127.0.0.1:4646")


# --- TLS ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with a server's certificate, for Nomad's usual name, and a client's."""
    where = tmp_path_factory.mktemp("pki")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=where, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    for name in ("server.global.nomad", "client.global.nomad"):
        openssl(
            *(*new, "-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-subj", f"/CN={name}", "-days", "2"),
            *("-addext", f"subjectAltName=DNS:{name}", "-addext", "basicConstraints=critical,CA:false"),
            *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
        )
    return where


@contextmanager
def tls(pki: Path, mutual: bool = False) -> Iterator[str]:
    """Serve as Nomad with TLS does; ``mutual`` is verify_https_client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.global.nomad.pem", pki / "server.global.nomad.key")
    if mutual:
        context.load_verify_locations(pki / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    with serve(lambda asked: Answer(body={"ok": 1}), context) as fake:
        yield fake.url


def trusted(pki: Path, **more: Any) -> dict[str, Any]:
    return {"ca_bundle": str(pki / "ca.pem"), "tls_server_name": "server.global.nomad", **more}


def pair(pki: Path, cert: str = "client.global.nomad.pem", key: str = "client.global.nomad.key") -> dict[str, str]:
    return {"client_cert": str(pki / cert), "client_key": str(pki / key)}


@pytest.mark.parametrize("mutual", [False, True])
def test_tls_with_nomads_own_names(pki: Path, mutual: bool) -> None:
    with tls(pki, mutual) as url:
        assert NomadApi(Access(url, **trusted(pki, **pair(pki)))).get(SELF) == {"ok": 1}


@pytest.mark.parametrize(
    ("mutual", "changes", "reason", "advised"),
    [
        (False, {"ca_bundle": ""}, "certificate", "ca_bundle"),
        (False, {"tls_server_name": ""}, "certificate", "tls_server_name"),
        (False, {"tls_server_name": "client.global.nomad"}, "certificate", "tls_server_name"),
        # The server's alert and the end of the connection race each other.
        (True, {}, "client_certificate closed", "client_cert and client_key"),
        (False, {"ca_bundle": "/nowhere/ca.pem"}, "file", "ca_bundle"),
        (False, {"ca_bundle": "server.global.nomad.key"}, "file", "ca_bundle"),
        (False, {"client_cert": "ca.pem", "client_key": "client.global.nomad.key"}, "file", "client_cert"),
        (False, {"client_cert": "/nowhere/c.pem", "client_key": "ca.key"}, "file", "client_cert"),
    ],
)
def test_tls_that_fails(pki: Path, mutual: bool, changes: dict[str, str], reason: str, advised: str) -> None:
    files = {
        name: str(pki / value) if "." in value and "name" not in name else value for name, value in changes.items()
    }
    with tls(pki, mutual) as url, pytest.raises(NomadError) as caught:
        NomadApi(Access(url, NEEDLE, **{**trusted(pki), **files})).get(SELF)
    assert caught.value.reason in reason.split()
    assert advised in caught.value.remedy
