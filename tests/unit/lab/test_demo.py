"""What the demo reads out of ansible-playbook's output, and where it looks for a run's files."""

from __future__ import annotations

import pytest

from lab.base import LabError
from lab.demo import changed_hosts, progress_line, why_ansible_failed
from lab.demo_hosts import choose
from lab.outcomes import server_path

RECAP = """
PLAY RECAP *********************************************************************
client                     : ok=18   changed=5    unreachable=0    failed=0    skipped=7    rescued=0    ignored=0
nas                        : ok=12   changed=0    unreachable=0    failed=0    skipped=7    rescued=0    ignored=0
"""


def test_recap_tells_what_changed() -> None:
    assert changed_hosts(RECAP) == {"client": 5, "nas": 0}


def test_no_recap_is_no_success() -> None:
    with pytest.raises(LabError, match="without a recap"):
        changed_hosts("ERROR! the playbook could not be found")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("PLAY [Export the share] ******\n", "Export the share:"),
        ("TASK [selfhosted.mlflow.mlflow_client : Users | Have] ***\n", "mlflow_client : Users | Have"),
        ("RUNNING HANDLER [selfhosted.mlflow.mlflow_server : Restart mlflow] *\n", "mlflow_server : Restart mlflow"),
        ("TASK [selfhosted.mlflow.mlflow_server : Validating arguments against arg spec 'main'] ***\n", ""),
        ("ok: [server]\n", ""),
        ("PLAY RECAP *****\n", ""),
    ],
)
def test_progress_shows_plays_and_tasks(line: str, shown: str) -> None:
    assert progress_line(line) == shown


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("TASK [x] ***\nfatal: [nas]: UNREACHABLE!\nmore\n", "fatal: [nas]: UNREACHABLE!"),
        ("ok\n[ERROR]: no such file\nfatal: [a]\n", "[ERROR]: no such file"),
        ("nothing known\n", "ansible-playbook failed"),
    ],
)
def test_failure_is_told_in_a_line(output: str, why: str) -> None:
    assert why_ansible_failed(output) == why


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/mnt/mlflow/1/abc/artifacts", "/mnt/mlflow/1/abc/artifacts"),
        ("mlflow-artifacts:/1/abc/artifacts", "/mnt/mlflow/1/abc/artifacts"),
    ],
)
def test_files_are_looked_for_where_the_server_has_them(uri: str, path: str) -> None:
    assert server_path("/mnt/mlflow", uri) == path


@pytest.mark.parametrize("uri", ["/mnt/mlflow2/1", "s3://bucket/1", "/tmp/1"])
def test_files_elsewhere_are_a_failure(uri: str) -> None:
    with pytest.raises(LabError, match="not below /mnt/mlflow"):
        server_path("/mnt/mlflow", uri)


def test_unknown_kind_of_host_is_refused() -> None:
    with pytest.raises(LabError, match="uml"):
        choose("kvm")
