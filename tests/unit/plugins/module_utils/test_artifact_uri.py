"""Artifact URIs as MLflow stores them, and what MLflow makes of each.

The local ones were held against MLflow 3.17.2's LocalArtifactRepository(URI).artifact_dir.
"""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_uri import (
    LOCAL,
    PROXIED,
    REMOTE,
    UNUSABLE,
    parse,
)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/abs", "/abs"),
        ("/abs/trail/", "/abs/trail"),
        ("/abs/./x//y", "/abs/x/y"),
        ("//abs", "/abs"),
        ("/a b", "/a b"),
        ("/a?b=1", "/a?b=1"),
        ("/a:b", "/a:b"),
        ("/a%20b", "/a b"),
        ("/100%", "/100%"),
        ("/umlaut-ä", "/umlaut-ä"),
        ("file:///abs", "/abs"),
        ("file:/abs", "/abs"),
        ("file:////abs", "/abs"),
        ("file://localhost/p", "/p"),
        ("file://LOCALHOST:80/p", "/p"),
        ("file://127.0.0.1/p", "/p"),
        ("file:///a%20b", "/a b"),
        ("file:///a+b", "/a+b"),
        ("file:///a%2Fb", "/a/b"),
        ("file:///q;x/y", "/q;x/y"),
        ("file:///q?x=1", "/q"),
    ],
)
def test_local(given: str, path: str) -> None:
    uri = parse(given)

    assert (uri.kind, uri.path, uri.why, uri.indirect) == (LOCAL, path, "", False)
    assert uri.plain is (given == path)


@pytest.mark.parametrize(
    ("given", "path"),
    [("/abs/../up", "/up"), ("file:///a/%2e%2e/b", "/b")],
)
def test_leading_back_is_told(given: str, path: str) -> None:
    uri = parse(given)

    assert (uri.kind, uri.path, uri.indirect, uri.plain) == (LOCAL, path, True, False)


@pytest.mark.parametrize("given", ["/a..b", "/a/...", "/..a"])
def test_dots_in_a_name_lead_nowhere(given: str) -> None:
    assert (parse(given).path, parse(given).indirect) == (given, False)


@pytest.mark.parametrize("given", ["mlflow-artifacts:/", "mlflow-artifacts:/7", "mlflow-artifacts://other:5000/7"])
def test_proxied(given: str) -> None:
    assert (parse(given).kind, parse(given).path) == (PROXIED, "")


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("s3://bucket/key", True),
        ("S3://bucket", True),
        ("gs://b", True),
        ("wasbs://c@a.blob.core.windows.net/p", True),
        ("abfss://f@a.dfs.core.windows.net/p", True),
        ("hdfs://h/p", True),
        ("sftp://u:p@h/p", True),
        ("dbfs:/x", True),
        ("https://h/p", True),
        ("oss://bucket/p", False),
        ("bogus:x", False),
    ],
)
def test_remote(given: str, known: bool) -> None:
    uri = parse(given)

    assert (uri.kind, uri.path, uri.known, uri.plain) == (REMOTE, "", known, False)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("rel/ative", "relative"),
        (" /abs", "relative"),
        ("./x", "relative"),
        ("file:rel", "relative"),
        ("file://", "relative"),
        ("/", "root directory"),
        ("//", "root directory"),
        ("/a/..", "root directory"),
        ("file:///", "root directory"),
        ("~", "'~'"),
        ("~/x", "'~'"),
        ("~alice/x", "'~'"),
        ("file://host/p", "'host'"),
        ("file://user@host/p", "'host'"),
        ("FILE:///p", "small letters"),
        ("C:\\x", "Windows"),
        ("c:/x", "Windows"),
        ("\\\\nas\\share", "Windows"),
        ("/a\0b", "control character"),
        ("/a\nb", "control character"),
        ("file:///a%0Ab", "control character"),
        ("file:///a%00b", "control character"),
        ("s3://b/\n", "control character"),
        ("runs:/abc/model", "stored elsewhere"),
        ("models:/m/1", "stored elsewhere"),
    ],
)
def test_unusable(given: str, reason: str) -> None:
    uri = parse(given)

    assert (uri.kind, uri.path) == (UNUSABLE, "")
    assert reason in uri.why


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("/a:b@c?d", "/a:b@c?d"),
        ("sftp://user:secret@host/p", "sftp://host/p"),
        ("wasbs://c@a.net/p?sig=secret", "wasbs://c@a.net/p"),
        ("s3://b?sig=secret", "s3://b"),
        ("/a\nb", "/a\\x0ab"),
        ("/" + "x" * 400, "/" + "x" * 298 + "…"),
    ],
)
def test_shown_without_secrets_and_in_one_line(given: str, shown: str) -> None:
    assert parse(given).shown == shown
