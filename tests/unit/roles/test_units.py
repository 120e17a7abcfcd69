"""No unit is less of a sandbox than it was: what systemd 252 and newer say of the rendered units, without a host."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.role_files import ROLES

#: The exposure of each unit, from 0 (nothing) to 10.  The watch starts as root, to look as an ordinary user.
EXPOSURE = {
    "mlflow_server/templates/mlflow.service.j2": 1.5,
    "mlflow_firewall/templates/mlflow-firewall.service.j2": 2.3,
    "mlflow_gc/templates/mlflow-gc.service.j2": 1.5,
    "mlflow_backup/templates/mlflow-backup.service.j2": 1.8,
    # As root, whose word systemd takes, and without a right besides.
    "mlflow_proxy/templates/mlflow-proxy-certificate.service.j2": 1.0,
    "mlflow_artifact_check/templates/mlflow-artifact-watch.service.j2": 2.4,
}


def test_all_units_are_here() -> None:
    assert {str(path.relative_to(ROLES)) for path in ROLES.glob("*/templates/*.service.j2")} == set(EXPOSURE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
@pytest.mark.parametrize("template", EXPOSURE)
def test_exposes_no_more(tmp_path: Path, template: str) -> None:
    """Settings that a template makes of inputs count as the template has them when they are left out."""
    text = re.sub(r"\{%.*?%\}\n?|\{#.*?#\}", "", (ROLES / template).read_text(encoding="utf-8"))
    text = text.replace("{{ ansible_managed | comment }}", "")
    text = re.sub(r"\{\{[^}]*CAP_DAC_OVERRIDE[^}]*\}\}", "", text)
    text = re.sub(r"\{\{ 'read-only'.*?\}\}", "true", text)
    text = re.sub(r"\{\{ \w+_(user|group) \}\}", "mlflow", text)
    unit = tmp_path / Path(template).stem
    unit.write_text(re.sub(r"\{\{.*?\}\}", "/x", text), encoding="utf-8")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    level = re.search(r"exposure level for \S+ ([\d.]+)", ended.stdout)

    assert level is not None, ended.stdout + ended.stderr
    assert float(level[1]) <= EXPOSURE[template], ended.stdout
