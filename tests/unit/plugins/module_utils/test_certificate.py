"""What OpenSSL prints is read right, and each reason for clients to refuse a certificate is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.certificate import (
    Certificate,
    Pair,
    dated,
    look,
    open_to_all,
    parse,
    problems,
    public_key,
    warning,
)

KEY = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----"
PRINTED = f"""subject=CN = ml.example.org, O = "a=b"
issuer=CN = authority
notBefore=Nov 21 19:00:00 2026 GMT
notAfter=Nov  1 07:00:00 2027 GMT
X509v3 Subject Alternative Name:
    DNS:ml.example.org, DNS:*.lab.example.org, IP Address:10.0.0.7, IP Address:FD00:0:0:0:0:0:0:1
{KEY}
"""
FROM, UNTIL = 1795287600, 1825052400
DAY = 86400
PARSED = Certificate(
    'CN = ml.example.org, O = "a=b"',
    "CN = authority",
    ("ml.example.org", "*.lab.example.org", "10.0.0.7", "FD00:0:0:0:0:0:0:1"),
    FROM,
    UNTIL,
    KEY,
)
PAIR = Pair(certificate=PARSED, public_key=KEY)
INPUTS, PATHS = ("the_certificate", "the_key"), ("/c.pem", "/c.key")


def test_reads_what_openssl_prints() -> None:
    assert parse(PRINTED) == PARSED


def test_a_certificate_without_names_has_none() -> None:
    printed = "\n".join(line for line in PRINTED.splitlines() if "DNS:" not in line)
    assert parse(printed).names == ()


@pytest.mark.parametrize("missing", ["notBefore", "notAfter", "PUBLIC KEY"])
def test_what_is_incomplete_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        parse("\n".join(line for line in PRINTED.splitlines() if missing not in line))


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("ml.example.org", True),
        ("ML.Example.org", True),
        ("www.ml.example.org", False),
        ("example.org", False),
        ("a.lab.example.org", True),
        ("lab.example.org", False),
        ("a.b.lab.example.org", False),
        ("10.0.0.7", True),
        ("10.0.0.8", False),
        ("fd00::1", True),
    ],
)
def test_covers(name: str, covered: bool) -> None:
    assert PARSED.covers(name) is covered


@pytest.mark.parametrize(
    ("pair", "found", "why", "instead"),
    [
        (Pair(certificate_error="No such file", public_key=KEY), "/c.pem: No such file", "not start", "PEM"),
        (replace(PAIR, public_key="", key_error="Permission denied"), "/c.key: Permission denied", "not start", "PEM"),
        (replace(PAIR, public_key="other"), "/c.key is not that of the first", "not start", "made for"),
        (replace(PAIR, key_open_to="/real.key"), "can read /real.key", "pass for", "chmod 0600 /real.key"),
        (
            replace(PAIR, certificate=replace(PARSED, names=("other.example.org",))),
            "is for other.example.org, not for ml.example.org",
            "refuse",
            "subjectAltName",
        ),
        (
            replace(PAIR, certificate=replace(PARSED, names=())),
            "is for no name at all",
            "common name",
            "subjectAltName",
        ),
    ],
)
def test_refuses(pair: Pair, found: str, why: str, instead: str) -> None:
    (problem,) = problems(INPUTS, PATHS, ["ml.example.org"], pair)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


def test_accepts_what_fits() -> None:
    assert list(problems(INPUTS, PATHS, ["ml.example.org", "a.lab.example.org", "10.0.0.7"], PAIR)) == []


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (FROM - 60, "is valid from 2026-11-21 19:00 UTC only, and it is 2026-11-21 18:59"),
        (FROM, ""),
        (UNTIL, ""),
        (UNTIL + 60, "has expired on 2027-11-01 07:00 UTC, and it is 2027-11-01 07:01"),
    ],
)
def test_tells_a_certificate_whose_time_it_is_not(now: float, found: str) -> None:
    told = [problem.found for problem in dated("/c.pem", PARSED, now)]
    assert told == ([f"the certificate /c.pem {found} UTC"] if found else [])


@pytest.mark.parametrize(("days", "told"), [(15, ""), (13, "in 13 days"), (1, "in 1 days"), (-1, "")])
def test_warns_in_time(days: int, told: str) -> None:
    assert told in warning("/c.pem", PARSED, UNTIL - days * DAY)
    assert bool(warning("/c.pem", PARSED, UNTIL - days * DAY)) == bool(told)


@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "is_open"),
    [(0o600, 0o755, False), (0o640, 0o755, False), (0o644, 0o755, True), (0o644, 0o700, False)],
)
def test_a_key_is_open_where_directories_let_everybody_in(
    tmp_path: Path, file_mode: int, directory_mode: int, is_open: bool
) -> None:
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    key = tmp_path / "real" / "key"
    key.parent.mkdir()
    key.write_text("")
    key.chmod(file_mode)
    key.parent.chmod(directory_mode)
    link = tmp_path / "link"
    link.symlink_to(key)
    assert open_to_all(str(link)) is is_open


def test_looks_at_what_there_is(tmp_path: Path) -> None:
    for name in ("c.pem", "c.key"):
        (tmp_path / name).touch(mode=0o600)
    paths = str(tmp_path / "c.pem"), str(tmp_path / "c.key")

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        assert paths[0 if "x509" in command else 1] in command
        return 0, PRINTED, ""

    assert look(*paths, run) == PAIR


def test_says_why_a_file_is_no_use(tmp_path: Path) -> None:
    (tmp_path / "c.key").touch(mode=0o600)
    pair = look(str(tmp_path / "c.pem"), str(tmp_path / "c.key"), lambda _command: (1, "", "unable to load\nmore"))
    assert pair.certificate_error == "No such file or directory"
    assert pair.key_error == "no key in PEM, or one with a passphrase: unable to load"


def test_there_may_be_no_key() -> None:
    assert public_key("nothing") == ""
