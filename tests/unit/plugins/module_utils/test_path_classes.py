"""From evidence to class: every class is told apart, and none is found where all is well.

The evidence in tests/unit/evidence was recorded on kernel NFS in the lab; what stands in this file was made
up for situations that the lab can't make, or to vary one thing only, and says so by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_classes, path_evidence, path_notes
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import (
    Evidence,
    Failure,
    Mount,
    Silence,
)

RECORDED = Path(__file__).parents[2] / "evidence"

NFS = Mount("/mnt/mlflow", "nfs4", "nas:/srv/mlflow", ("rw", "vers=4.2", "addr=10.0.0.1"))
LOCAL = Mount("/", "ext4", "/dev/ubda", ("rw",))
FINE = Evidence(
    path="/mnt/mlflow",
    user="alice",
    uid=2001,
    gid=2001,
    groups=(851, 2001),
    share="nas:/srv/mlflow",
    share_at="/mnt/mlflow",
    mount=NFS,
    real_path="/mnt/mlflow",
    mode=0o2770,
    owner_uid=850,
    owner_gid=851,
    protected_regular=1,
    sentinel="found",
    replied=True,
)
LOST = replace(FINE, mount=LOCAL, sentinel="missing", replied=False)


def stopped(step: str, error: str, **more: Any) -> Evidence:
    """Evidence of a probe that one step ended."""
    sentinel = "" if step in ("stat", "statvfs", "sentinel") else "found"
    return replace(FINE, **{"replied": False, "sentinel": sentinel, "failure": Failure(step, error), **more})


def silent(step: str, port: str, *answered: str) -> Evidence:
    silence = Silence(step, 20.0, "D rpc_wait_bit_killable", port, answered)
    return replace(FINE, replied=False, sentinel="", silence=silence)


#: Evidence that was made up, by what it shows, with all classes and severities it must lead to.
MADE_UP: dict[str, tuple[Evidence, list[tuple[str, str]]]] = {
    "all is well": (FINE, []),
    "the server itself, its own disk": (replace(FINE, mount=LOCAL), []),
    "no such user": (
        Evidence(path="/x", user="eve", uid=-1, gid=-1, unknown_user=True),
        [("unknown_user", ERROR)],
    ),
    "nothing there": (
        stopped("stat", "ENOENT", mount=LOCAL, first_missing="/mnt/mlflow"),
        [("missing", ERROR)],
    ),
    "sealed root of macOS": (
        stopped("stat", "ENOENT", mount=LOCAL, first_missing="/mnt", nearest_read_only=True, system="darwin"),
        [("missing_below_read_only", ERROR)],
    ),
    "a file": (stopped("stat", "ENOTDIR", not_a_directory="/mnt/mlflow"), [("not_a_directory", ERROR)]),
    "local directory": (LOST, [("local_directory", ERROR)]),
    "local directory with runs": (
        replace(LOST, stranded=("/mnt/mlflow/7/0123456789abcdef0123456789abcdef",)),
        [("local_directory", ERROR)],
    ),
    "another local root of the same server": (replace(LOST, sentinel="foreign"), [("local_directory", ERROR)]),
    "declared, not mounted": (replace(LOST, declared="/etc/fstab"), [("not_mounted", ERROR)]),
    "declared, sealed mount point": (
        stopped("stat", "EACCES", mount=LOCAL, declared="mnt-mlflow.mount"),
        [("not_mounted", ERROR)],
    ),
    "other export": (replace(FINE, sentinel="missing", replied=False), [("other_directory", ERROR)]),
    "one level too deep": (
        replace(FINE, sentinel="missing", sentinel_at="/mnt", replied=False),
        [("other_directory", ERROR)],
    ),
    "local copy one level too high": (replace(LOST, sentinel_at="/mnt/mlflow/mlflow"), [("other_directory", ERROR)]),
    "hidden file system": (replace(FINE, hidden=("/mnt/mlflow/team",)), [("hidden_file_system", ERROR)]),
    "read-only mount": (
        stopped("mkdir", "EROFS", mounted_read_only=True, mount=replace(NFS, options=("ro",))),
        [("read_only_mount", ERROR)],
    ),
    "read-only mount in check mode": (
        replace(FINE, replied=False, only_looked=True, mounted_read_only=True),
        [("read_only_mount", ERROR)],
    ),
    "read-only export": (stopped("mkdir", "EROFS"), [("read_only_export", ERROR)]),
    "full at fsync": (stopped("fsync", "ENOSPC", free_bytes=4096), [("no_space", ERROR)]),
    "full at close": (stopped("close", "ENOSPC"), [("no_space", ERROR)]),
    "over quota": (stopped("fsync", "EDQUOT"), [("quota_exceeded", ERROR)]),
    "stale at first sight": (stopped("stat", "ESTALE"), [("stale_handle", ERROR)]),
    "stale while writing": (stopped("fsync", "ESTALE"), [("stale_handle", ERROR)]),
    "server stopped": (silent("stat", "refused"), [("server_silent", ERROR)]),
    "server dropped by a firewall": (silent("statvfs", "unanswered", "stat"), [("server_silent", ERROR)]),
    "server hangs with its port open": (silent("stat", "open"), [("server_silent", ERROR)]),
    "grace period, not over": (silent("sentinel", "open", "stat", "statvfs"), [("grace_period", ERROR)]),
    "server stopped between steps": (silent("mkdir", "refused", "stat", "statvfs"), [("server_silent", ERROR)]),
    "grace period, waited for": (replace(FINE, waited=87.0), [("grace_period", INFO)]),
    "not in the group": (stopped("mkdir", "EACCES"), [("access_denied", ERROR)]),
    "not even to look": (stopped("stat", "EACCES", mode=-1), [("access_denied", ERROR)]),
    "local directory of another user": (stopped("mkdir", "EACCES", mount=LOCAL), [("access_denied", ERROR)]),
    "seventeen groups": (stopped("mkdir", "EACCES", groups=tuple(range(100, 117))), [("too_many_groups", ERROR)]),
    "sixteen groups": (stopped("mkdir", "EACCES", groups=tuple(range(100, 116))), [("access_denied", ERROR)]),
    "seventeen groups, local": (
        stopped("mkdir", "EACCES", groups=tuple(range(100, 117)), mount=LOCAL),
        [("access_denied", ERROR)],
    ),
    "seventeen groups, and it works": (replace(FINE, groups=tuple(range(100, 117))), []),
    "root is squashed": (stopped("mkdir", "EACCES", uid=0, user="root"), [("root_squashed", ERROR)]),
    "sticky, and the file stays empty": (
        stopped("create", "EACCES", mode=0o1777, empty_file_left=True),
        [("sticky_directory", ERROR)],
    ),
    "sticky, and it works": (replace(FINE, mode=0o1777), [("sticky_directory", WARNING)]),
    "sticky, nobody else may write": (replace(FINE, mode=0o1755), []),
    "a link": (replace(FINE, real_path="/export/mlflow"), [("indirect_path", INFO)]),
    "an automounter": (replace(FINE, autofs=True), [("indirect_path", INFO)]),
    "case is folded": (replace(FINE, folds=("case",)), [("name_folding", WARNING)]),
    "macOS folds both": (replace(FINE, folds=("case", "unicode"), system="darwin"), [("name_folding", WARNING)]),
    "late listing": (replace(FINE, listed_first=True), [("stale_listing", INFO)]),
    "disk error": (stopped("fsync", "EIO"), [("probe_failed", ERROR)]),
    "nothing explains it": (replace(FINE, replied=False), [("not_proved", ERROR)]),
    "no sentinel on the server": (replace(FINE, replied=False, sentinel=""), [("not_proved", ERROR)]),
    "check mode": (replace(FINE, replied=False, only_looked=True), [("not_proved", WARNING)]),
}

#: The same for a user in a colleague's directory.
VISITS: dict[str, tuple[Evidence, list[tuple[str, str]]]] = {
    "let in": (FINE, []),
    "not let in": (stopped("mkdir", "EACCES", colleague="bob on ws1"), [("colleague_denied", ERROR)]),
    "stale": (stopped("stat", "ESTALE"), [("stale_handle", ERROR)]),
    "silent": (silent("mkdir", "refused"), [("server_silent", ERROR)]),
    "full": (stopped("fsync", "ENOSPC"), [("no_space", ERROR)]),
    "quota": (stopped("fsync", "EDQUOT"), [("quota_exceeded", ERROR)]),
    "gone": (stopped("stat", "ENOENT"), [("probe_failed", ERROR)]),
    "unexplained": (replace(FINE, replied=False), [("not_proved", ERROR)]),
}


def recorded() -> dict[str, tuple[Evidence, list[tuple[str, str]]]]:
    """Read what was recorded in the lab."""
    cases = {}
    for file in sorted(RECORDED.glob("*.json")):
        case = json.loads(file.read_text(encoding="utf-8"))
        cases[file.stem] = (path_evidence.from_dict(case["evidence"]), [tuple(pair) for pair in case["finds"]])
    return cases


PROOFS = {**MADE_UP, **{f"recorded {name}": case for name, case in recorded().items()}}


def found(seen: Evidence, classify: Callable[[Evidence], Any] = path_classes.classify) -> list[tuple[str, str]]:
    return [(finding.name, finding.severity) for finding in classify(seen)]


@pytest.mark.parametrize("name", PROOFS)
def test_evidence_leads_to_its_class(name: str) -> None:
    seen, expected = PROOFS[name]
    assert found(seen) == expected


@pytest.mark.parametrize("name", VISITS)
def test_visit_leads_to_its_class(name: str) -> None:
    seen, expected = VISITS[name]
    assert found(seen, path_classes.classify_visit) == expected


@pytest.mark.parametrize("name", PROOFS)
def test_evidence_survives_its_way_through_json(name: str) -> None:
    seen, _expected = PROOFS[name]
    assert path_evidence.from_dict(json.loads(json.dumps(seen.as_dict()))) == seen


@pytest.mark.parametrize("dropped", path_classes.RULES, ids=lambda rule: rule.__name__.strip("_"))
def test_a_classifier_without_any_one_rule_is_caught(
    dropped: path_classes.Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mutation: what a rule tells apart must be in the tables above."""
    monkeypatch.setattr(path_classes, "RULES", tuple(rule for rule in path_classes.RULES if rule is not dropped))
    assert any(found(seen) != expected for seen, expected in PROOFS.values())


@pytest.mark.parametrize("dropped", path_notes.NOTES, ids=lambda rule: rule.__name__.strip("_"))
def test_a_classifier_without_any_one_note_is_caught(
    dropped: path_classes.Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_notes, "NOTES", tuple(note for note in path_notes.NOTES if note is not dropped))
    assert any(found(seen) != expected for seen, expected in PROOFS.values())


@pytest.mark.parametrize("dropped", path_classes.VISIT_RULES, ids=lambda rule: rule.__name__.strip("_"))
def test_visits_judged_without_any_one_rule_are_caught(
    dropped: path_classes.Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tuple(rule for rule in path_classes.VISIT_RULES if rule is not dropped)
    monkeypatch.setattr(path_classes, "VISIT_RULES", rules)
    assert any(found(seen, path_classes.classify_visit) != expected for seen, expected in VISITS.values())


@pytest.mark.parametrize("name", PROOFS)
def test_nothing_but_a_reply_passes(name: str) -> None:
    """Whatever else was seen, a path without a reply is an error, or a warning in check mode."""
    seen, _expected = PROOFS[name]
    severities = [severity for _class, severity in found(replace(seen, replied=False))]
    assert ERROR in severities or (seen.only_looked and WARNING in severities)


@pytest.mark.parametrize("name", PROOFS)
def test_errors_say_what_to_do(name: str) -> None:
    seen, _expected = PROOFS[name]
    for finding in path_classes.classify(seen):
        # In check mode, and where nothing explains it, there is nothing to be done.
        assert finding.remedy or finding.severity == INFO or finding.name == "not_proved"
        assert "None" not in finding.message + finding.remedy


def test_the_rescue_of_stranded_runs_loses_nothing() -> None:
    seen = replace(LOST, path="/mnt/my runs", share_at="", stranded=("/mnt/my runs/1/" + "a" * 32,))

    remedy = path_classes.classify(seen)[0].remedy

    assert "`mv '/mnt/my runs' '/mnt/my runs.stranded'`" in remedy
    assert remedy.index("`mv ") < remedy.index("`mount ") < remedy.index("-- cp -Rn ")
    assert f"runuser -u \"$(stat --format=%U '/mnt/my runs.stranded/1/{'a' * 32}')\" -- cp" in remedy
    assert "rm " not in remedy
    # It is to be done once, so it is told once.
    assert remedy == path_classes.classify(replace(seen, user="bob"))[0].remedy
