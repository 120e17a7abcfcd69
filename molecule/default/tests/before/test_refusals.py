"""A host without systemd is refused before it is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from testinfra.utils.ansible_runner import AnsibleRunner

SITE = Path(__file__).parents[4] / "playbooks/site.yml"


def test_host_without_systemd_is_refused(inventory: AnsibleRunner, tmp_path: Path) -> None:
    (name,) = inventory.get_hosts("without_systemd")
    groups = tmp_path / "groups.ini"
    groups.write_text(f"[mlflow_server]\n{name}\n")
    known = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    command = ["ansible-playbook", "--inventory", known, "--inventory", str(groups)]
    run = subprocess.run(
        [*command, "--limit", name, str(SITE)], capture_output=True, text=True, check=False, timeout=120
    )

    assert run.returncode == 2, run.stdout
    assert "not started by systemd" in run.stdout
    assert "changed=0" in run.stdout
