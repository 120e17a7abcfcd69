"""What a store is said to be wrong with, by what drivers were seen to say of real ones, and by its files."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store_probe import file_problem, judge, parse

SAID = [
    ("list", "An error occurred (InvalidAccessKeyId) when calling", "knows no such key", "access_key"),
    ("list", "An error occurred (SignatureDoesNotMatch) when calling", "does not belong to the key", "secret_key"),
    ("list", "The provided token has expired. <- (ExpiredToken)", "a time that is over", "a new one"),
    ("list", "An error occurred (InvalidToken) when calling", "no such token", "session_token"),
    (
        "list",
        "An error occurred (AuthorizationHeaderMalformed): the region 'a' is wrong; expecting 'b'",
        "region",
        "region",
    ),
    ("list", "The specified bucket does not exist", "no such bucket", "correct uri"),
    ("write", "An error occurred (AccessDenied) when calling PutObject", "does not allow", "s3:PutObject"),
    ("delete", "An error occurred (AccessDenied) when calling DeleteObject", "can't delete there", "s3:DeleteObject"),
    ("write", "EOF occurred in violation of protocol", "ended the connection", "allow it to write"),
    ("list", "Unable to locate credentials", "no credentials", "access_key"),
    ("connect", "[Errno 111] Connection refused", "nothing answers", "firewall"),
    ("connect", "[Errno -2] Name or service not known", "can't resolve", "getent hosts"),
    ("list", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "no authority", "ca_bundle"),
    ("open", "No module named 'boto3'", "driver is not installed", "requirements"),
    ("open", "No hostkey for host nas found.", "known_hosts", "compare it"),
    ("open", "Unable to load libhdfs: libjvm.so", "Hadoop's own library", "HADOOP_HOME"),
    ("list", "something that nobody has seen", "would fail", "correct"),
]


@pytest.mark.parametrize(("step", "said", "why", "instead"), SAID, ids=[row[1] for row in SAID])
def test_says_why_and_what_to_do(step: str, said: str, why: str, instead: str) -> None:
    problem = judge("s3://b", {"steps": [], "error": {"step": step, "name": "Error", "text": said}, "left": ""})
    assert problem
    assert said in problem.found
    assert why in problem.why
    assert instead in problem.instead


def signed(until: str) -> str:
    return (
        f"BlobEndpoint=https://a.blob.core.windows.net;SharedAccessSignature=sv=2024-11-04&{until}&sp=rwdl&sig=xyz%3D"
    )


@pytest.mark.parametrize(
    ("secret", "said", "over"),
    [
        (signed("se=2026-11-21T09%3A30%3A15Z"), "AuthorizationFailure", True),
        ("se=2026-11-21T09:30Z&sig=x", "AuthenticationFailed", True),
        (signed("se=2026-11-21"), "Operation returned an invalid status 403", True),
        (signed("se=2026-11-23T09%3A30%3A15Z"), "AuthorizationFailure", False),
        (signed("se=some day"), "AuthorizationFailure", False),
        (signed("st=2020-01-01"), "AuthorizationFailure", False),
        ("AccountKey=abcse=2020-01-01", "AuthorizationFailure", False),
        (signed("se=2026-11-21"), "Connection refused", False),
    ],
)
def test_a_token_that_says_when_it_ended(secret: str, said: str, over: bool) -> None:
    error = {"step": "list", "name": "HttpResponseError", "text": said}
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    problem = judge("wasbs://c@a", {"steps": [], "error": error, "left": ""}, ["key", secret], now)
    assert problem
    assert problem.why.startswith("the token was good until 2026-11-21 ") == over


def test_says_nothing_of_a_store_that_can_be_used() -> None:
    assert judge("s3://b", {"steps": ["open"], "error": None, "left": ""}) is None


def test_hides_secrets_and_names_what_is_left() -> None:
    error = {"step": "delete", "name": "Error", "text": "of hush-hush\nand hush"}
    problem = judge("s3://b", {"steps": [], "error": error, "left": "s3://b/x"}, ["hush", "hush-hush"])
    assert problem
    assert (
        problem.found
        == "s3://b: MLflow can't delete there what was written: Error: of … and …; s3://b/x could not be removed"
    )


def test_parse_takes_the_last_line() -> None:
    assert parse('a driver\'s chatter\n{"steps": [], "error": null}\n')["error"] is None
    for out in ("", "[]", "chatter", "{}"):
        with pytest.raises(ValueError, match=r"no answer|Expecting"):
            parse(out)


def openssh(cipher: bytes, kind: bytes) -> str:
    raw = b"openssh-key-v1\0" + len(cipher).to_bytes(4, "big") + cipher + b"\0" * 8
    raw += b"\0\0\0" + bytes([len(kind)]) + kind
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{base64.b64encode(raw).decode()}\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("part", "text", "why"),
    [
        ("ca_bundle", "-----BEGIN CERTIFICATE-----", None),
        ("ca_bundle", "-----BEGIN PRIVATE KEY-----", "nothing could be proved"),
        ("ca_bundle", None, "the driver needs it"),
        ("credentials_file", None, "without credentials"),
        ("credentials_file", '{"type": "service_account"}', None),
        ("credentials_file", '{"kind": "x"}', "would not read it"),
        ("credentials_file", "[]", "would not read it"),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMII", None),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED", "passphrase"),
        ("private_key", openssh(b"none", b"ssh-rsa"), None),
        ("private_key", openssh(b"none", b"ssh-ed25519"), "no RSA key"),
        ("private_key", openssh(b"aes256-ctr", b"ssh-rsa"), "passphrase"),
        ("private_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n!\n-----END OPENSSH", "no private key"),
        ("private_key", "ssh-rsa AAAA", "no private key"),
    ],
)
def test_files(part: str, text: str | None, why: str | None) -> None:
    problem = file_problem("mlflow_artifact_store", part, "/etc/file", text)
    assert (why in problem.why if problem and why else problem) is (True if why else None)
