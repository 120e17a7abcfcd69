"""What a stored location becomes when the root moves."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_location import Root, UnclearError, translate

OLD, NEW = Root("direct", "/mnt/a"), Root("direct", "/srv/new")
PROXY = Root("proxied", "/srv/mlflow/artifacts")


@pytest.mark.parametrize(
    ("stored", "moved"),
    [
        ("/mnt/a", "/srv/new"),
        ("/mnt/a/", "/srv/new/"),
        ("/mnt/a/1/0f/artifacts", "/srv/new/1/0f/artifacts"),
        ("//mnt//a/./1", "/srv/new/./1"),
        ("/mnt/a/1//x/", "/srv/new/1//x/"),
        ("file:///mnt/a/1", "file:///srv/new/1"),
        ("file:/mnt/a/1", "file:/srv/new/1"),
        ("file://localhost/mnt/a/1", "file://localhost/srv/new/1"),
        ("/mnt/a/50%25_é x/1", "/srv/new/50%25_é x/1"),
        ("/mnt/%61/1", "/srv/new/1"),
        ("/mnt/a/x/../1", "/srv/new/1"),
        ("/mnt/other/../a/100%25/..%2f1", "/srv/new/1"),
        # Neighbours whose names begin alike.
        ("/mnt/ab", None),
        ("/mnt/ab/1", None),
        ("/mnt/a%2f../ab", None),
        ("/mnt", None),
        ("/mnt/a/../ab/1", None),
        ("/other/mnt/a/1", None),
        ("/MNT/a/1", None),
        ("mnt/a/1", None),
        ("file:///mnt/ab/1", None),
        ("file://other/mnt/a/1", None),
        ("mlflow-artifacts:/mnt/a/1", None),
        ("s3://bucket/mnt/a", None),
        ("models:/m-0123", None),
        ("runs:/0f/model", None),
        ("", None),
        ("see /mnt/a/1", None),
    ],
)
def test_direct_to_direct(stored: str, moved: str | None) -> None:
    assert translate(stored, OLD, NEW) == moved


def test_what_moved_means_the_directory_that_it_says() -> None:
    odd = Root("direct", "/srv/100%25 é")
    for stored in ("/mnt/a/1", "file:///mnt/a/1"):
        moved = translate(stored, OLD, odd)
        assert moved is not None
        assert artifact_uri.parse(moved).path == "/srv/100%25 é/1"
        assert translate(moved, odd, OLD) == stored


@pytest.mark.parametrize(
    ("stored", "proxied"),
    [
        ("/mnt/a", "mlflow-artifacts:/"),
        ("/mnt/a/1/0f/artifacts", "mlflow-artifacts:/1/0f/artifacts"),
        ("file:///mnt/a/1", "mlflow-artifacts:/1"),
        ("/mnt/a/two words/é", "mlflow-artifacts:/two words/é"),
        ("/mnt/ab/1", None),
    ],
)
def test_direct_to_proxied(stored: str, proxied: str | None) -> None:
    assert translate(stored, OLD, PROXY) == proxied


@pytest.mark.parametrize("name", ["100%25", "a?b", "a#b", "%3F"])
def test_what_an_address_cannot_say_is_refused(name: str) -> None:
    with pytest.raises(UnclearError, match="character"):
        translate(f"/mnt/a/{name}", OLD, PROXY)


@pytest.mark.parametrize(
    ("stored", "direct"),
    [
        ("mlflow-artifacts:/1/0f/artifacts", "/mnt/a/1/0f/artifacts"),
        ("mlflow-artifacts:///1/0f", "/mnt/a/1/0f"),
        ("mlflow-artifacts:/", "/mnt/a/"),
        # Another server's.
        ("mlflow-artifacts://ml.example.org:5000/1", None),
        ("/srv/mlflow/artifacts/1", None),
    ],
)
def test_proxied_to_direct(stored: str, direct: str | None) -> None:
    assert translate(stored, PROXY, OLD) == direct


def test_proxied_to_proxied_changes_no_location() -> None:
    stored = "mlflow-artifacts:/1"
    assert translate(stored, PROXY, Root("proxied", "/elsewhere")) == stored
