"""The list of known holes is well formed, and a release that has one is refused until each is named."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.version import Version

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils import vulnerabilities

ROLES = Path(__file__).resolve().parents[4] / "roles"
DOCUMENT = yaml.safe_load((ROLES / "mlflow_server/files/known-vulnerabilities.yml").read_text(encoding="utf-8"))
LISTED = vulnerabilities.parse(DOCUMENT)
#: Whose word is cited.
SOURCES = {"github.com", "nvd.nist.gov"}
PINNED = sorted({path.name.split("-")[1] for path in (ROLES / "mlflow_server/files/locks").glob("mlflow-*-py*.txt")})
NEWEST = max(PINNED, key=Version)
TODAY = datetime.datetime.now(tz=datetime.UTC).date()


def hole(name: str = "CVE-2030-1", *, introduced: str = "0", fixed: str = "3.8.0", **also: Any) -> dict[str, Any]:
    affected = [{"introduced": introduced, "fixed": fixed}]
    text = {"severity": "high", "part": "server", "summary": "anybody can", "source": "https://nvd.nist.gov/x"}
    return {"id": name, "affected": affected, **text, **also}


def listed(*holes: dict[str, Any]) -> vulnerabilities.Listed:
    return vulnerabilities.parse({"date": "2030-01-01", "vulnerabilities": holes})


def refusal(known: vulnerabilities.Listed, release: str, *accepted: str, part: str = "server") -> str:
    return "\n".join(map(str, vulnerabilities.problems(known, release, part, "mlflow_server", accepted)))


@pytest.mark.parametrize("entry", DOCUMENT["vulnerabilities"], ids=lambda entry: str(entry["id"]))
def test_each_entry_says_what_it_is(entry: dict[str, Any]) -> None:
    assert set(entry) - {"advisory"} == {"id", "severity", "part", "affected", "summary", "source"}
    assert re.fullmatch(r"CVE-20\d\d-\d{4,}", entry["id"])
    assert re.fullmatch(r"GHSA(-[23456789cfghjmpqrvwx]{4}){3}", entry.get("advisory", "GHSA-2222-2222-2222"))
    assert entry["severity"] in ("critical", "high")
    assert entry["part"] in ("server", "client")
    assert entry["summary"].strip(". ") == entry["summary"]
    source = urlsplit(entry["source"])
    assert (source.scheme, source.hostname in SOURCES) == ("https", True)
    assert entry["source"].endswith((entry["id"], entry.get("advisory", entry["id"])))


@pytest.mark.parametrize("entry", DOCUMENT["vulnerabilities"], ids=lambda entry: str(entry["id"]))
def test_each_range_is_one(entry: dict[str, Any]) -> None:
    """A version that YAML reads as a number has lost its digits: 3.10 would be 3.1."""
    texts = [text for each in entry["affected"] for text in (each["introduced"], each["fixed"])]
    assert all(isinstance(text, str) for text in texts)
    assert all(Version(each["introduced"]) < Version(each["fixed"]) for each in entry["affected"])


def test_the_list_is_of_a_day_that_has_been() -> None:
    assert datetime.date(2026, 11, 21) <= datetime.date.fromisoformat(DOCUMENT["date"]) <= TODAY


def test_no_identifier_stands_twice() -> None:
    names = [name for one in LISTED.vulnerabilities for name in one.names]
    assert sorted(names) == sorted(set(names))


def test_what_is_deployed_by_default_has_none() -> None:
    for part in ("server", "client"):
        assert [one.names[0] for one in vulnerabilities.affecting(LISTED, NEWEST, part)] == []


@pytest.mark.parametrize("release", sorted(set(PINNED) - {NEWEST}))
def test_the_old_pinned_releases_have_these(release: str) -> None:
    """The scenarios `moves` and `upgrade`, and the READMEs, name them."""
    found = {one.names[0] for one in vulnerabilities.affecting(LISTED, release, "server")}
    assert found == {"CVE-2026-2614", "CVE-2026-2033", "CVE-2026-2651", "CVE-2025-14279"}
    assert refusal(LISTED, release, *found) == ""


@pytest.mark.parametrize(
    ("release", "affected"),
    [
        ("3.2.0", True),
        ("3.1.99", False),
        ("3.7.9", True),
        ("3.8.0", False),
        ("3.10.0", False),
        ("3.8.0rc1", True),
        ("3.2.0.dev0", False),
        ("3.17.2", False),
        ("2.22.5", False),
    ],
)
def test_a_range_begins_with_the_first_and_ends_before_the_fixed(release: str, affected: bool) -> None:
    """As numbers: 3.10 is newer than 3.8; as PEP 440: a candidate is older than its release."""
    known = listed(hole(introduced="3.2.0"))
    assert bool(vulnerabilities.affecting(known, release, "server")) is affected


def test_a_hole_that_was_mended_twice_has_two_ranges() -> None:
    both = [{"introduced": "0", "fixed": "2.22.4"}, {"introduced": "3.0.0", "fixed": "3.5.0"}]
    known = listed({**hole(), "affected": both})
    have = [text for text in ("2.22.3", "2.22.5", "3.0.0", "3.5.0") if vulnerabilities.affecting(known, text, "server")]
    assert have == ["2.22.3", "3.0.0"]


def test_the_refusal_says_what_where_and_how_to_go_on() -> None:
    known = listed(hole(), hole("CVE-2030-2", fixed="3.10.0", severity="critical"))
    text = refusal(known, "3.1.4")
    assert "MLflow 3.1.4 is to be deployed, which is known to be vulnerable (list of 2030-01-01)" in text
    assert "CVE-2030-2 (critical, fixed in 3.10.0): anybody can, https://nvd.nist.gov/x" in text
    assert "deploy 3.10.0 or newer" in text
    assert "mlflow_server_accepted_vulnerabilities: [CVE-2030-1, CVE-2030-2]" in text


def test_what_is_accepted_is_not_refused_and_all_else_is() -> None:
    known = listed(hole(advisory="GHSA-2222-3333-4444"), hole("CVE-2030-2"))
    text = refusal(known, "3.1.4", "GHSA-2222-3333-4444")
    assert "CVE-2030-1" not in text
    assert "mlflow_server_accepted_vulnerabilities: [CVE-2030-2]" in text


def test_what_is_accepted_stays_accepted_after_the_upgrade() -> None:
    assert refusal(listed(hole()), "3.8.0", "CVE-2030-1") == ""


def test_a_misspelt_identifier_is_refused() -> None:
    assert "has CVE-2030-10" in refusal(listed(hole()), "3.8.0", "CVE-2030-10")


def test_the_parts_have_their_own() -> None:
    known = listed(hole(part="client"))
    assert refusal(known, "3.1.4") == ""
    assert "what others have made could use that" in refusal(known, "3.1.4", part="client")


@pytest.mark.parametrize("tag", ["latest", "", "mlflow", "registry.example.org:5000/mlflow"])
def test_what_is_no_release_is_not_judged(tag: str) -> None:
    assert refusal(LISTED, tag) == ""
