"""What was deleted goes from a server with accounts, too, which removes proxied files for an administrator only."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ansible_collections.selfhosted.mlflow.plugins.module_utils.client_credentials import FILE, render
from tests.integration.accounts.conftest import FIRST, Site
from tests.integration.moves.conftest import log_everything
from tests.integration.moves.test_gc import PROGRAM, age
from tests.integration.releases import NEWEST, release


def test_proxied_files_go(tmp_path: Path) -> None:
    site, root = Site(release(NEWEST), tmp_path), tmp_path / "artifacts"
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(render("", "admin", FIRST))
    proxied = {"MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/", "MLFLOW_ARTIFACTS_DESTINATION": str(root)}
    variables = site.configure(FIRST, MLFLOW_SERVE_ARTIFACTS="true", **proxied)
    with site.serving(variables) as url:
        log_everything(site.release, url, tmp_path)
        age(tmp_path / "mlflow.db", 2)
        before = {path for path in root.rglob("*") if path.is_file()}
        ran = subprocess.run(
            [site.release.python, "-I", PROGRAM, "--older-than-days", "1", "--delete"],
            # Without the credentials in its home: it takes those of the server's configuration.
            env={**variables, "HOME": "/nonexistent", "MLFLOW_TRACKING_URI": url, "PATH": "/usr/bin:/bin"},
            cwd="/",
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        after = {path for path in root.rglob("*") if path.is_file()}

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert after < before
