"""Artifacts in a real S3 server with TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.stores.services import BUCKET, Service
from tests.integration.stores.site import ask, asked, words

STEPS = ["open", "list", "write", "find", "read", "delete"]


def test_can_be_used_and_nothing_is_left(s3: Service, tmp_path: Path) -> None:
    answer = ask(s3.store, tmp_path)
    assert (answer.get("msg"), answer["steps"]) == (None, STEPS)
    assert s3.files() == []


def test_check_mode_only_lists(s3: Service, tmp_path: Path) -> None:
    answer = ask(s3.store, tmp_path, check=True)
    assert (answer["steps"], answer["problems"]) == (["open", "list"], [])
    answer = ask(s3.but(uri="s3://nowhere/mlflow"), tmp_path, check=True)
    assert not answer.get("failed")
    assert "would be refused" in answer["warnings"][0]


# What differs, what the store says, why that is, and what to do.
REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"access_key": "nobody-key"}, "InvalidAccessKeyId", "knows no such key", "correct access_key"),
    ({"secret_key": "wrong-secret"}, "SignatureDoesNotMatch", "does not belong", "correct secret_key"),
    ({"uri": "s3://nowhere/mlflow"}, "bucket does not exist", "no such bucket", "correct uri"),
    ({"access_key": "reader-key"}, "can't write to it", "allow", "allow it to"),
    ({"ca_bundle": None}, "CERTIFICATE_VERIFY_FAILED", "no authority", "ca_bundle"),
    ({"endpoint_url": "https://localhost:1"}, "can't connect to it", "nothing answers", "firewall"),
    ({"endpoint_url": "https://store.invalid"}, "can't connect to it", "can't resolve", "getent hosts"),
    ({"session_token": "bogus-session-token"}, "InvalidToken", "no such token", "session_token"),
]


def test_refused_in_the_store_s_words(s3: Service, tmp_path: Path) -> None:
    told = asked([s3.but(**parts) for parts, *_said in REFUSED], tmp_path)
    wrong = [
        (parts, problem)
        for problem, (parts, found, why, instead) in zip(told, REFUSED, strict=True)
        if not (problem and found in problem.found and why in problem.why and instead in problem.instead)
    ]
    assert wrong == []
    assert s3.files() == []


def test_a_key_that_may_not_delete(s3: Service, tmp_path: Path) -> None:
    """MLflow itself says nothing of it."""
    found, why, instead = words(ask(s3.but(access_key="no-delete-key"), tmp_path))
    assert "still listed" in found
    assert "can't delete there" in why
    assert "s3:DeleteObject" in instead
    (left,) = s3.files()
    assert f"s3://{BUCKET}/{left.parent.relative_to(s3.directory)} could not be removed" in found
    left.unlink()
    left.parent.rmdir()


def test_what_boto3_makes_good(s3: Service, tmp_path: Path) -> None:
    """Its certificate need not be looked at, and of a wrong region the store says the right one."""
    stores = [s3.but(ca_bundle=None, ignore_tls=True), s3.but(region="eu-west-1")]
    assert asked(stores, tmp_path) == [None, None]
