"""Bad input is refused on an untouched host, says what to do instead, and leaves the host untouched.

Each row runs the whole of playbooks/site.yml, as a person who made that slip would.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

SHARE = {"mlflow_nfs_share": "nas:/srv/mlflow", "mlflow_artifact_root": "/mnt/mlflow"}

Row = tuple[dict[str, object], str]
ROWS: dict[str, Row] = {
    "relative artifact root": ({"mlflow_artifact_root": "mlruns"}, "mlruns"),
    "home's artifact root": ({"mlflow_artifact_root": "~/mlruns"}, "~/mlruns"),
    "file URI that names a host": ({"mlflow_artifact_root": "file://nas/mlruns"}, "file://nas/mlruns"),
    "artifact root below the state directory": ({"mlflow_artifact_root": "/var/lib/mlflow/art"}, "/var/lib/mlflow"),
    "artifact root that is a symbolic link": ({"mlflow_artifact_root": "/bin"}, "/bin"),
    "artifact root with a step up": ({"mlflow_artifact_root": "/srv/../etc"}, "/srv/../etc"),
    "access by no known way": ({"mlflow_artifact_access": "dircet"}, "direct"),
    "direct access without a share": ({"mlflow_artifact_access": "direct"}, "mlflow_nfs_share"),
    "share without a host": ({**SHARE, "mlflow_nfs_share": "/srv/mlflow"}, "HOST:/PATH"),
    "share with a relative path": ({**SHARE, "mlflow_nfs_share": "nas:srv"}, "HOST:/PATH"),
    "soft mount": ({**SHARE, "mlflow_nfs_mount_options": "nfsvers=4.2,soft"}, "soft"),
    "SQLite with too few slashes": ({"mlflow_server_backend_store_uri": "sqlite:///var/m.db"}, "four slashes"),
    "SQLite in memory": ({"mlflow_server_backend_store_uri": "sqlite://"}, "sqlite:////"),
    "database without a driver": ({"mlflow_server_backend_store_uri": "postgresql://u@h/d"}, "postgresql+psycopg://"),
    "release with known holes": ({"mlflow_version": "3.1.4"}, "CVE-2026-2614"),
    "release without a lock": ({"mlflow_version": "3.99.0"}, "3.99.0"),
    "interpreter that is none": ({"mlflow_server_python": "/usr/bin/true"}, "/usr/bin/true"),
    "interpreter that is not there": ({"mlflow_server_python": "/opt/python3.14"}, "/opt/python3.14"),
    "port of another process": ({"mlflow_server_port": 22}, "sshd"),
    "port out of range": ({"mlflow_server_port": 70000}, "70000"),
    "address of another host": ({"mlflow_server_bind_address": "192.0.2.77"}, "192.0.2.77"),
    "uid of someone else": ({"mlflow_service_uid": 2001}, "alice"),
    "gid of someone else": ({"mlflow_shared_gid": 2001}, "alice"),
    "service and users in one group": ({"mlflow_shared_group": "mlflow", "mlflow_shared_gid": 850}, "secrets"),
    "empty allowed hosts": ({"mlflow_server_allowed_hosts": []}, "mlflow_server_allowed_hosts"),
    "misspelt input": ({"mlflow_server_prot": 5001}, "write mlflow_server_port"),
    "misspelt collection variable": ({"mlflow_artifact_rot": "/x"}, "write mlflow_artifact_root"),
    "workers none": ({"mlflow_server_workers": 0}, "mlflow_server_workers"),
    "prefix without its slash": ({"mlflow_server_static_prefix": "ml"}, "/ml"),
    "memory in words": ({"mlflow_server_memory_max": "two gigs"}, "two gigs"),
    "wheelhouse that is not there": ({"mlflow_server_wheelhouse": "/srv/wheels"}, "/srv/wheels"),
    "user who is not there": ({"mlflow_client_users": ["eve"]}, "eve"),
    "client that is told a file": ({"mlflow_tracking_uri": "file:///mlruns"}, "http://"),
    "secret for everyone": ({"mlflow_client_environment": {"MLFLOW_TRACKING_PASSWORD": "x"}}, "0600"),
}


@pytest.fixture(scope="module", autouse=True)
def untouched(server: Host) -> Iterator[None]:
    """Hold the files of the host after all rows against those before: none may be newer."""
    server.check_output("touch /run/before-refusals && sleep 1")
    yield
    ours = "-path /root/.ansible -o -path /var/log -o -path /tmp -o -path /var/tmp"
    newer = server.check_output(f"find / -xdev \\( {ours} \\) -prune -o -newercm /run/before-refusals -print")
    assert newer == ""


@pytest.mark.parametrize(("inputs", "told"), ROWS.values(), ids=ROWS.keys())
def test_bad_input_is_refused(
    inputs: dict[str, object],
    told: str,
    run_site: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    # Somebody else's host is a client too: only then does direct access need a share.
    others = tmp_path / "others.ini"
    others.write_text("[mlflow_clients]\nelsewhere\n")

    run = run_site("--inventory", str(others), "--limit", "bare", "--extra-vars", json.dumps(inputs))

    assert run.returncode == 2, run.stdout
    assert told in run.stdout
    assert "changed=0" in run.stdout
    assert "changed=1" not in run.stdout
