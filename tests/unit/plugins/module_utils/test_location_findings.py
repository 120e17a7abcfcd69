"""What stored locations mean for the check: class, severity, what is proved, what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import location_findings, stored_locations
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.location_findings import Audit, Runs

ROOT = "/mnt/mlflow"
OLD = "/old/root"


def audit(*locations: tuple[str, str], **more: Any) -> Audit:
    """Make an audit of locations; a number that begins with ``-`` is of a deleted experiment."""
    experiments = [
        stored_locations.experiment(
            {
                "experiment_id": number.lstrip("-"),
                "name": f"e{number}",
                "artifact_location": location,
                "lifecycle_stage": "deleted" if number.startswith("-") else "active",
            },
        )
        for number, location in locations
    ]
    return Audit(stored_locations.group(experiments, [ROOT]), **more)


def judge(found: Audit, limit: int = 20) -> list[Finding]:
    return location_findings.judge(found, "the account ann", ROOT, limit)


@pytest.mark.parametrize(
    ("found", "classes"),
    [
        (audit(("1", f"{ROOT}/1")), [("stored_in_root", "info")]),
        (audit(("1", f"{OLD}/1")), [("stored_elsewhere", "warning")]),
        (audit(("-1", f"{OLD}/1")), [("stored_elsewhere", "info")]),
        (audit(("1", f"{OLD}/1"), ("-2", f"{OLD}/2")), [("stored_elsewhere", "warning")]),
        (audit(("1", "rel")), [("stored_unusable", "error")]),
        (audit(("1", "~/x")), [("stored_unusable", "error")]),
        (audit(("1", "file://host/x")), [("stored_unusable", "error")]),
        (audit(("-1", "rel")), [("stored_unusable", "warning")]),
        (audit(("1", "s3://b/1")), [("stored_remote", "info")]),
        (audit(("1", "oss://b/1")), [("stored_remote", "warning")]),
        (audit(("1", "mlflow-artifacts:/1")), [("stored_proxied", "info")]),
        (audit(("1", "mlflow-artifacts:/1"), refusal="503"), [("stored_proxied", "error")]),
        (audit(("-1", "mlflow-artifacts:/1"), refusal="503"), [("stored_proxied", "info")]),
        (audit(("1", f"{ROOT}/x/../1")), [("stored_in_root", "info"), ("stored_indirect", "warning")]),
        (audit(("-1", f"{ROOT}/x/../1")), [("stored_in_root", "info")]),
        (audit(), [("no_experiments_visible", "error")]),
        (audit(("1", f"{ROOT}/1"), administrator=True), [("stored_in_root", "info")]),
        (audit(("1", f"{ROOT}/1"), administrator=False), [("partial_view", "warning"), ("stored_in_root", "info")]),
        (audit(administrator=False), [("no_experiments_visible", "error"), ("partial_view", "warning")]),
    ],
)
def test_class_and_severity(found: Audit, classes: list[tuple[str, str]]) -> None:
    assert [(finding.name, finding.severity) for finding in judge(found)] == classes


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, "could not be asked"),
        (Runs(0), "0 runs in them"),
        (Runs(1, examples=("abc",)), "1 run in them, such as abc"),
        (Runs(5000, True), "more than 5000 runs in them"),
    ],
)
def test_what_lies_elsewhere_says_what_it_holds(runs: Runs | None, said: str) -> None:
    found = audit(("7", f"{OLD}/7"), ("-8", f"{OLD}/8"), runs={OLD: runs} if runs else {})

    (finding,) = judge(found)

    for part in (OLD, ROOT, "2 experiments (1 of them deleted)", "'e7' (7)", said):
        assert part in finding.message
    assert finding.evidence["run_ids"] == list(runs.examples if runs else [])
    assert finding.evidence["runs"] == (runs.total if runs else None)


def test_runs_are_told_by_experiment() -> None:
    found = audit(("7", f"{OLD}/7"), ("8", f"{OLD}/8"), runs={OLD: Runs(3, of={"8": 3})})

    (finding,) = judge(found)

    assert [one["runs"] for one in finding.evidence["experiments"]] == [0, 3]
    assert "'e8' (8), 'e7' (7)" in finding.message


def test_remedy_keeps_old_roots_apart_and_quotes_them() -> None:
    (finding,) = judge(audit(("7", "/old root/7")))

    assert "`mkdir -p '/mnt/mlflow/moved/old root' && rsync" in finding.remedy
    assert "`ln -s '/mnt/mlflow/moved/old root' '/old root'`" in finding.remedy


def test_only_what_is_written_to_must_be_proved() -> None:
    found = audit(("1", "/a/1"), ("-2", "/gone/2"), ("3", "/b/own"), ("4", "s3://b/4"), ("5", f"{ROOT}/5"))

    proving, beyond = location_findings.to_prove(found.locations, 20)

    assert ([one.root for one in proving], beyond) == (["/a", "/b/own"], [])


def test_beyond_the_limit_is_told() -> None:
    found = audit(("1", "/a/1"), ("2", "/a/2"), ("3", "/b"), ("4", "/c"), ("-5", "/gone"))

    findings = judge(found, limit=1)

    assert [finding.name for finding in findings] == ["stored_elsewhere", "stored_elsewhere", "stored_not_proved"]
    assert [finding.evidence.get("root") for finding in findings[:2]] == ["/a", "/gone"]
    assert findings[2].severity == "warning"
    assert findings[2].evidence == {"roots": ["/b", "/c"], "count": 2}
    assert "2 further directories, of 2 experiments" in findings[2].message


def test_messages_stay_short_with_many_experiments() -> None:
    found = audit(*((str(number), f"{OLD}/{number}") for number in range(3000)))

    (finding,) = judge(found)

    assert "and 2995 more" in finding.message
    assert len(finding.message) < 500
    assert len(finding.evidence["experiments"]) == 50
    assert finding.evidence["experiment_count"] == 3000


def test_no_credential_of_a_location_is_shown() -> None:
    findings = judge(audit(("1", "sftp://ann:s3cret@nas/1"), ("2", "wasbs://c@a.net/p?sig=s3cret")))

    assert "s3cret" not in str(findings)


def test_summary_counts_by_place() -> None:
    found = audit(("1", f"{ROOT}/1"), ("-2", f"{OLD}/2"), ("3", "s3://b/3"), runs={OLD: Runs(5000, True)})

    assert location_findings.summary(found, ROOT) == [
        {"kind": "local", "root": ROOT, "experiments": 1, "deleted": 0, "runs": None, "runs_more": False},
        {"kind": "local", "root": OLD, "experiments": 1, "deleted": 1, "runs": 5000, "runs_more": True},
        {"kind": "remote", "root": "s3://b", "experiments": 1, "deleted": 0, "runs": None, "runs_more": False},
    ]
