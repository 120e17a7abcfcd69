"""The client of MLflow's REST API, against a fake of the server; what it says of errors was seen on 3.17.2."""

from __future__ import annotations

import base64
import hashlib
import itertools
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import tracking_errors
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError
from tests.unit.plugins.fake_tracking import Answer, Asked, serve

NEEDLE = "s3cr3t-password"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def error_of(answer: Answer, **access: Any) -> ApiError:
    with serve(lambda asked: answer) as fake, pytest.raises(ApiError) as caught:
        TrackingApi(Access(fake.url, **access)).get("x")
    return caught.value


@pytest.mark.parametrize(
    ("access", "authorization"),
    [
        ({}, None),
        ({"username": "ann", "password": "p:ä"}, "Basic " + base64.b64encode("ann:p:ä".encode()).decode()),
        ({"token": "t0ken"}, "Bearer t0ken"),
    ],
)
def test_sends_credentials_with_the_first_request(access: dict[str, Any], authorization: str | None) -> None:
    with serve(lambda asked: Answer(body={"ok": 1})) as fake:
        assert TrackingApi(Access(fake.url, **access)).get("x") == {"ok": 1}
    assert [asked.headers.get("authorization") for asked in fake.asked] == [authorization]


def test_netrc_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ann password other\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    with serve(lambda asked: Answer()) as fake:
        TrackingApi(Access(fake.url)).get("x")
    assert "authorization" not in fake.asked[0].headers


def test_keeps_the_prefix_and_encodes_the_query() -> None:
    with serve(lambda asked: Answer()) as fake:
        TrackingApi(Access(f"{fake.url}/ml/")).get("get-artifact", {"path": "a b/ä&x"})
    assert fake.asked[0].path == "/ml/get-artifact?path=a%20b%2F%C3%A4%26x"


def test_asks_in_a_workspace() -> None:
    with serve(lambda asked: Answer()) as fake:
        api = TrackingApi(Access(fake.url))
        api.in_workspace("team").post("x", {})
        api.post("x", {})
    assert [asked.headers.get("x-mlflow-workspace") for asked in fake.asked] == ["team", None]


def paged(asked: Asked) -> Answer:
    pages = {"": (["a", "b"], "2"), "2": (["c", "d"], "3"), "3": (["e"], "")}
    names, token = pages[asked.body.get("page_token", "")]
    return Answer(body={"items": [{"name": name} for name in names], "next_page_token": token})


@pytest.mark.parametrize(("limit", "names", "asked"), [(100, "abcde", 3), (3, "abc", 2), (0, "", 1)])
def test_takes_all_pages_up_to_the_limit(limit: int, names: str, asked: int) -> None:
    with serve(paged) as fake:
        listed = list(TrackingApi(Access(fake.url)).items("x", {"max_results": 2}, "items", limit))
    assert "".join(item["name"] for item in listed) == names
    assert [(one.body["max_results"], one.body.get("page_token")) for one in fake.asked] == [
        (2, token) for token in (None, "2", "3")[:asked]
    ]


def test_an_empty_answer_is_an_empty_list() -> None:
    with serve(lambda asked: Answer()) as fake:
        assert list(TrackingApi(Access(fake.url)).items("x", {}, "items", 9)) == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"items": [{}], "next_page_token": "same"}, "the same page came twice"),
        ({"items": {}}, "no list"),
        ({"items": [1]}, "no list"),
    ],
)
def test_odd_pages_are_an_error(body: dict[str, Any], what: str) -> None:
    with serve(lambda asked: Answer(body=body)) as fake, pytest.raises(ApiError, match=what):
        list(TrackingApi(Access(fake.url)).items("x", {}, "items", 1000))


def test_pages_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api.MAX_PAGES", 5)
    tokens = map(str, itertools.count(1))
    with (
        serve(lambda asked: Answer(body={"items": [{}], "next_page_token": next(tokens)})) as fake,
        pytest.raises(ApiError, match="more than 5 pages"),
    ):
        list(TrackingApi(Access(fake.url)).items("x", {}, "items", 1000))
    assert len(fake.asked) == 5


HOST_CHECK = b"Invalid Host header - possible DNS rebinding attack detected"


@pytest.mark.parametrize(
    ("answer", "name", "reason", "said", "advised"),
    [
        (Answer(401, b"You are not authenticated."), "api_refused", "unauthorized", "none were given", "account"),
        (Answer(403, HOST_CHECK), "api_refused", "host", "403 Invalid Host header", "mlflow_server_allowed_hosts"),
        (Answer(403, b"Permission denied"), "api_refused", "forbidden", "Permission denied", "administrator"),
        (Answer(404, b"<h1>Not Found</h1>"), "api_wrong_address", "not_found", "no MLflow API", "static prefix"),
        (
            Answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such run"}),
            "api_failed",
            "status",
            "answers 404: No such run",
            "journalctl",
        ),
        (Answer(500, b"boom\n\x1b[31m"), "api_failed", "status", "answers 500: boom [31m", "journalctl"),
        (
            Answer(302, b"", {"Location": "https://sso.example.org/login?state=abc"}),
            "api_wrong_address",
            "redirected",
            "leads to https://sso.example.org/login",
            "redirects aren't followed",
        ),
        (Answer(200, b"<html>Log in</html>"), "api_wrong_address", "strange", "<html>Log in</html>", "address"),
        (Answer(200, b"[1]"), "api_wrong_address", "strange", "[1]", "address"),
        (Answer(200, b"x" * 1000), "api_wrong_address", "strange", "…", "address"),
    ],
)
def test_answers_that_are_no_use(answer: Answer, name: str, reason: str, said: str, advised: str) -> None:
    error = error_of(answer)

    assert (error.name, error.reason) == (name, reason)
    assert said in str(error)
    assert "\n" not in str(error)
    assert advised in error.remedy
    assert error.finding().as_dict()["severity"] == "error"


def test_mlflows_own_code_is_kept() -> None:
    body = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "x"}
    assert error_of(Answer(404, body)).code == "RESOURCE_DOES_NOT_EXIST"


def test_wrong_credentials_are_told_from_missing_ones() -> None:
    assert "those given are not accepted" in str(error_of(Answer(401), username="ann", password=NEEDLE))


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
@pytest.mark.parametrize("access", [{"username": "ann", "password": NEEDLE}, {"token": NEEDLE}])
def test_no_error_repeats_a_credential(status: int, access: dict[str, Any]) -> None:
    error = error_of(Answer(status, f"you sent {NEEDLE}".encode()), **access)

    assert NEEDLE not in f"{error} {error.remedy} {error.finding()}"


def test_no_error_repeats_a_credential_that_cannot_be_sent() -> None:
    with serve(lambda asked: Answer()) as fake, pytest.raises(ApiError) as caught:
        TrackingApi(Access(fake.url, token="tök€n-" + NEEDLE)).get("x")
    assert NEEDLE not in str(caught.value)
    assert caught.value.__suppress_context__


def test_redirects_are_not_followed() -> None:
    with (
        serve(lambda asked: Answer()) as other,
        serve(lambda asked: Answer(307, b"", {"Location": f"{other.url}/x"})) as fake,
        pytest.raises(ApiError),
    ):
        TrackingApi(Access(fake.url, token=NEEDLE)).post("x", {})
    assert other.asked == []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_nothing_listens() -> None:
    with pytest.raises(ApiError) as caught:
        TrackingApi(Access(f"http://127.0.0.1:{free_port()}")).get("x")
    assert (caught.value.name, caught.value.reason) == ("api_unreachable", "refused")


def test_plain_http_where_tls_is_asked() -> None:
    with serve(lambda asked: Answer()) as fake, pytest.raises(ApiError) as caught:
        TrackingApi(Access(fake.url.replace("http:", "https:"))).get("x")
    assert caught.value.reason == "tls"
    assert "http://" in caught.value.remedy


def test_a_ca_bundle_that_is_not_there() -> None:
    with pytest.raises(ApiError) as caught:
        TrackingApi(Access("https://127.0.0.1:1", ca_bundle="/nowhere/ca.pem")).get("x")
    assert (caught.value.reason, "/nowhere/ca.pem" in str(caught.value)) == ("ca_bundle", True)


def test_a_ca_bundle_without_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none\n")
    with pytest.raises(ApiError) as caught:
        TrackingApi(Access("https://127.0.0.1:1", ca_bundle=str(tmp_path / "ca.pem"))).get("x")
    assert (caught.value.reason, "holds no certificate" in str(caught.value)) == ("ca_bundle", True)


@pytest.mark.parametrize(
    ("cause", "reason", "advised"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "certificate", "mlflow_ca_bundle"),
        (socket.gaierror(-2, "x"), "name", "/etc/hosts"),
        (ConnectionResetError(104, "x"), "closed", "https://"),
        (OSError(113, "No route to host"), "network", "firewall"),
        (RuntimeError(), "unknown", "proxy"),
    ],
)
def test_other_failures(cause: Exception, reason: str, advised: str) -> None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        cause.verify_message = "self-signed certificate"
    error = tracking_errors.unreachable(tracking_errors.Asked("https://ml.example.org"), cause)

    assert (error.name, error.reason) == ("api_unreachable", reason)
    assert advised in error.remedy


def slowly() -> None:
    time.sleep(0.2)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=[b"{}"], pause=lambda: time.sleep(5)),
        Answer(body=[b" "] * 100, pause=slowly),
    ],
    ids=["silent", "drips"],
)
def test_ends_in_time(answer: Answer) -> None:
    began = time.monotonic()
    error = error_of(answer, timeout=0.5)

    assert (error.name, error.reason) == ("api_unreachable", "timed_out")
    assert time.monotonic() - began < 3


def test_all_questions_together_end_in_time() -> None:
    with serve(lambda asked: Answer(body=[b"{}"], pause=slowly)) as fake:
        api = TrackingApi(Access(fake.url, duration=0.7))
        with pytest.raises(ApiError) as caught:
            [api.in_workspace("w").get("x") for _number in range(20)]
    assert caught.value.reason == "timed_out"
    assert len(fake.asked) < 6


def test_download_tells_hash_and_size() -> None:
    content = bytes(range(256)) * 1000
    with serve(lambda asked: Answer(body=content)) as fake:
        served = TrackingApi(Access(fake.url)).download("get-artifact", {}, len(content))
    assert (served.sha256, served.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_download_stops_when_there_is_too_much() -> None:
    with serve(lambda asked: Answer(body=b"x" * 100000)) as fake, pytest.raises(ApiError, match="more than 99999"):
        TrackingApi(Access(fake.url)).download("get-artifact", {}, 99999)


def changed(**values: Any) -> Callable[[], Access]:
    return lambda: Access(**{"uri": "http://ml.example.org:5000/ml", **values})


@pytest.mark.parametrize(
    ("access", "part"),
    [
        (changed(), ""),
        (changed(username="u", password=NEEDLE), ""),
        (changed(token=NEEDLE), ""),
        (changed(uri=""), "address"),
        (changed(uri="mlflow.example.org"), "address"),
        (changed(uri="ftp://ml"), "address"),
        (changed(uri="http://"), "address"),
        (changed(uri="http://ml:x"), "address"),
        (changed(uri="http://ml:0"), ""),
        (changed(uri="http://[::1"), "address"),
        (changed(uri="http://ml\n.example"), "address"),
        (changed(uri="http://ml /x"), "address"),
        (changed(uri=f"http://u:{NEEDLE}@ml"), "neither credentials"),
        (changed(uri="http://ml?x=1"), "query"),
        (changed(username="u", password=NEEDLE, token=NEEDLE), "either"),
        (changed(username="u"), "empty"),
        (changed(password=NEEDLE), "empty"),
        (changed(username="u:v", password=NEEDLE), "can't be sent"),
        (changed(token=f"{NEEDLE}\nX-Other: 1"), "can't be sent"),
        (changed(timeout=0), "greater than 0"),
        (changed(duration=-1), "greater than 0"),
    ],
)
def test_bad_inputs(access: Callable[[], Access], part: str) -> None:
    problem = access().problem()

    assert part in problem
    assert bool(problem) is bool(part)
    assert NEEDLE not in problem


def test_credentials_are_not_in_a_traceback() -> None:
    assert NEEDLE not in repr(Access("http://ml", "u", NEEDLE, NEEDLE))
