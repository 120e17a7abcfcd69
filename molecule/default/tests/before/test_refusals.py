"""A host without systemd is refused before it is touched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from testinfra.utils.ansible_runner import AnsibleRunner


def test_host_without_systemd_is_refused(
    inventory: AnsibleRunner, run_site: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (name,) = inventory.get_hosts("without_systemd")
    groups = tmp_path / "groups.ini"
    groups.write_text(f"[mlflow_server]\n{name}\n")

    run = run_site("--inventory", str(groups), "--limit", name)

    assert run.returncode == 2, run.stdout
    assert "not started by systemd" in run.stdout
    assert "changed=0" in run.stdout
