"""The names of the check's runs, and what to do when one doesn't arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import logged_run
from ansible_collections.selfhosted.mlflow.plugins.module_utils.logged_run import Logged

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"
NAME = f"mlflow-artifact-check-{RUN}-00000001"


@pytest.mark.parametrize(
    ("name", "run"),
    [
        (NAME, RUN),
        (NAME + "0", ""),
        (NAME + "\n", ""),
        ("x" + NAME, ""),
        (NAME.upper(), ""),
        ("mlflow-artifact-check-mine", ""),
        (f"mlflow-artifact-check-{RUN}", ""),
        ("", ""),
    ],
)
def test_only_exact_names_are_the_checks(name: str, run: str) -> None:
    assert logged_run.check_of(name) == run


def test_names_are_made_as_they_are_known() -> None:
    assert logged_run.check_of(logged_run.experiment_name(RUN, "0a1b2c3d")) == RUN
    with pytest.raises(ValueError, match="can't name"):
        logged_run.experiment_name("../x", "0a1b2c3d")


@pytest.mark.parametrize("run", ["", "0123", RUN + "0", RUN.upper(), RUN + "\n", "0123456789abcdeg"])
def test_what_names_no_check(run: str) -> None:
    assert not logged_run.is_run(run)
    assert logged_run.is_run(RUN)


def test_due_are_its_own_and_stale_ones() -> None:
    def listed(number: str, name: str, created: int | None) -> dict[str, Any]:
        return {"experiment_id": number, "name": name, "creation_time": created}

    found = logged_run.due(
        [
            listed("1", NAME, 2_000_000),
            listed("2", f"mlflow-artifact-check-{OTHER}-00000001", 999_000),
            listed("3", f"mlflow-artifact-check-{OTHER}-00000002", 1_001_000),
            listed("4", "mlflow-artifact-check-mine", 1000),
            listed("5", "Default", 1000),
        ],
        RUN,
        1000.0,
    )

    assert [one["experiment_id"] for one in found] == ["1", "2"]


def test_reads_how_far_the_program_came() -> None:
    out = "\n".join(
        [
            "2026/11/20 WARNING mlflow: something",
            json.dumps({"version": "3.17.2"}),
            json.dumps({"experiment_id": "5"}),
            json.dumps({"run_id": "abc", "artifact_uri": "/mnt/5/abc/artifacts", "unknown": 1}),
            "[1]",
            "{broken",
        ]
    )

    assert logged_run.parse(out) == Logged("3.17.2", "5", "abc", "/mnt/5/abc/artifacts", "")


TRACEBACK = 'Traceback (most recent call last):\n  File "<stdin>", line 1\n    x\n'


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (
            TRACEBACK + "OSError: [Errno 30] Read-only file system: '/mnt/mlflow'\n",
            "OSError: [Errno 30] Read-only file system: '/mnt/mlflow'",
        ),
        (
            TRACEBACK + "mlflow.exceptions.MlflowException: failed\nnot shown\n",
            "mlflow.exceptions.MlflowException: failed",
        ),
        (TRACEBACK + "KeyError: 'x'\n\n", "KeyError: 'x'"),
        ("Killed\x1b[0m\n", "Killed [0m"),
        ("", "it said nothing"),
        ("ValueError: p4ssword is bad", "ValueError: *** is bad"),
        ("E: " + "x" * 1000, "E: " + "x" * 396 + "…"),
    ],
)
def test_the_librarys_last_error(err: str, said: str) -> None:
    assert logged_run.last_error(err, ["", "p4ssword"]) == said


RETRIES = "HTTPConnectionPool(host='x', port=4013): Max retries exceeded with url: /api (Caused by "
REFUSED = "MlflowException: API request to endpoint /x failed with error code"


@pytest.mark.parametrize(
    ("error", "advised"),
    [
        # The first five and those of the REST API were seen with MLflow 3.17.2.
        ("PermissionError: [Errno 13] Permission denied: '/mnt/mlflow/5'", "mlflow_shared_group"),
        ("ModuleNotFoundError: No module named 'mlflow'", "mlflow_client_library"),
        ("/opt/x/python can't be started as ann: No such file or directory", "mlflow_artifact_check_python"),
        (f"{REFUSED} 403 != 200. Response body: 'Invalid Host header - possible DNS", "mlflow_server_allowed_hosts"),
        (f"{REFUSED} 401 != 200. Response body: 'You are not authenticated.", "MLFLOW_TRACKING_USERNAME"),
        (f"{REFUSED} 403 != 200. Response body: 'Permission denied'", "account make experiments"),
        (RETRIES + 'NewConnectionError("… [Errno 111] Connection refused"))', "systemctl status mlflow"),
        (RETRIES + 'NameResolutionError("… [Errno -2] Name or service not known"))', "DNS"),
        (RETRIES + "ConnectTimeoutError(… timed out))", "firewall"),
        (RETRIES + "SSLError(… CERTIFICATE_VERIFY_FAILED …", "mlflow_ca_bundle"),
        ("OSError: [Errno 30] Read-only file system: '/mnt/mlflow'", "mounted read-only"),
        ("PermissionError: [Errno 1] Operation not permitted: '/mnt/mlflow/5'", "sealed"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/mnt'", "missing here"),
        ("OSError: [Errno 116] Stale file handle", "mount the share anew"),
        ("OSError: [Errno 28] No space left on device", "free space"),
        ("OSError: [Errno 122] Disk quota exceeded", "quota"),
        ("ModuleNotFoundError: No module named 'boto3'", "object store"),
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", "credentials of the object store"),
        ("Endpoint: x disabled due to the mlflow server running with `--no-serve-artifacts`", "MLFLOW_SERVE_ARTIFACTS"),
        ("ValueError: whatever", "small script"),
    ],
)
def test_remedy_by_error(error: str, advised: str) -> None:
    assert advised in logged_run.remedy(error)


LOGGED = Logged("3.17.2", "5", "abc", "/mnt/5/abc/artifacts", "0" * 64)


@pytest.mark.parametrize(
    ("finding", "name", "severity", "said"),
    [
        (logged_run.proved("ann", LOGGED), "run_proved", "info", "same sha256"),
        (logged_run.not_listed("ann", LOGGED, 35), "run_not_listed", "error", "lost"),
        (logged_run.not_listed("ann", LOGGED, 35, "500"), "run_not_listed", "error", "answers: 500"),
        (logged_run.not_served("ann", LOGGED, "500"), "run_not_served", "error", "500"),
        (logged_run.differs("ann", LOGGED, "f" * 64), "run_differs", "error", "f" * 64),
        (logged_run.failed("ann", LOGGED, "OSError: x"), "run_failed", "error", "could not be logged: OSError: x"),
        (logged_run.failed("ann", Logged(), "OSError: x"), "run_failed", "error", "no run could be made"),
    ],
)
def test_findings(finding: Any, name: str, severity: str, said: str) -> None:
    assert (finding.name, finding.severity) == (name, severity)
    assert said in finding.message
    assert "ann" in finding.message
    assert bool(finding.remedy) is (severity == "error")
