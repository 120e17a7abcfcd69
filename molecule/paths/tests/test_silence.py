"""A file server that does not answer never makes the check hang, and is told from one that has just started."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from lab import path_cases

Play = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[..., dict[str, list[tuple[str, str]]]]

SCENARIO = Path(__file__).parents[1]
VERIFY = SCENARIO.parents[1] / "playbooks/verify.yml"
TIMEOUT = 10
#: The root of case healthy_server_is_nas: MLflow on the NAS writes to its own disk, whatever NFS does.
ON_NAS_ROOT = "/srv/cases/healthy_server_is_nas"
ON_NAS = {
    "mlflow_artifact_check_artifact_root": ON_NAS_ROOT,
    "mlflow_artifact_check_server": "nas",
    "mlflow_artifact_check_users": ["alice"],
}


@pytest.fixture
def check(play: Play, tmp_path: Path) -> Check:
    """Check, and return what was found of each host: class and severity."""

    def run(**inputs: Any) -> dict[str, list[tuple[str, str]]]:
        report = tmp_path / "report.json"
        limits = {"mlflow_artifact_check_timeout": TIMEOUT, "mlflow_artifact_check_report": str(report)}
        # Where MLflow is on the NAS, the host called server would be one more client.
        only = ("--limit", "client") if "mlflow_artifact_check_server" in inputs else ()
        play(VERIFY, None, *only, **{**limits, **inputs})
        found: dict[str, list[tuple[str, str]]] = {}
        for row in path_cases.read(report)["rows"]:
            found.setdefault(row["host"], []).extend((one["class"], one["severity"]) for one in row["findings"])
        return found

    return run


@pytest.fixture
def stopped(nas: Host) -> Iterator[None]:
    """No NFS server; the daemon that knows the exports stays, so that clients go on at once afterwards."""
    nas.check_output("rpc.nfsd 0")
    yield
    nas.check_output("rpc.nfsd 8")


@pytest.fixture
def cut_off(nas: Host) -> Iterator[None]:
    """A network that loses all that the NAS sends to the client."""
    address = nas.check_output("getent ahostsv4 client").split()[0]
    nas.check_output(f"ip route add blackhole {address}")
    yield
    nas.check_output(f"ip route del blackhole {address}")


@pytest.fixture
def starting(nas: Host, inventory: AnsibleRunner) -> Iterator[None]:
    """An NFS server that has just started and waits for a client that doesn't come back."""
    # It waits only for those it knows: whom it didn't hear of in the last such time, it has forgotten.
    server = inventory.get_host("server")
    server.check_output("stat --file-system /mnt/mlflow")
    address = nas.check_output("getent ahostsv4 server").split()[0]
    nas.check_output(f"ip route add blackhole {address} && rpc.nfsd 0 && rpc.nfsd --grace-time 100 8")
    yield
    nas.check_output(f"ip route del blackhole {address}")
    # Refused where it has ended already.
    nas.run("echo Y >/proc/fs/nfsd/v4_end_grace")


@pytest.mark.parametrize("fault", ["stopped", "cut_off"])
def test_client_of_a_silent_server(fault: str, check: Check, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(fault)

    assert check(**ON_NAS) == {"client": [("server_silent", "error")], "nas": []}


@pytest.mark.usefixtures("starting")
def test_grace_period_is_told(check: Check, nas: Host) -> None:
    found = check(**ON_NAS, mlflow_artifact_check_timeout=4, mlflow_artifact_check_grace=2)

    assert found["client"] == [("grace_period", "error")]
    assert nas.check_output(f"find {ON_NAS_ROOT} -name '.mlflow-probe-*'") == ""


@pytest.mark.usefixtures("starting")
def test_grace_period_is_waited_for(check: Check, nas: Host) -> None:
    # Late enough for the client to have waited beyond its timeout, which starts seconds after the sentinel is left.
    end = "sleep 30; echo Y >/proc/fs/nfsd/v4_end_grace"
    nas.check_output(
        f"systemd-run --quiet sh -c 'until ls -d {ON_NAS_ROOT}/.mlflow-probe-*; do sleep 0.5; done; {end}'"
    )

    found = check(**ON_NAS, mlflow_artifact_check_timeout=4, mlflow_artifact_check_grace=60)

    assert found["client"] == [("grace_period", "info")]
