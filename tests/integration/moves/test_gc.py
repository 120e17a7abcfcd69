"""What was deleted is reported, and removed by real releases with its files."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.moves.conftest import log_everything, serving
from tests.integration.releases import NEWEST, release
from tools import stage

PROGRAM = stage.REPOSITORY / "roles/mlflow_gc/files/mlflow-gc"
DAY_MS = 86_400_000


def age(database: Path, days: int) -> None:
    """Let what was deleted have been deleted days ago."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("update runs set deleted_time = deleted_time - ?", (days * DAY_MS,))
        connection.execute("update experiments set last_update_time = last_update_time - ?", (days * DAY_MS,))
        connection.commit()


@pytest.mark.parametrize(
    ("version", "access"),
    [("2.22.5", "proxied"), ("3.1.4", "direct"), (NEWEST, "direct"), (NEWEST, "proxied")],
)
def test_reported_then_removed(version: str, access: str, tmp_path: Path) -> None:
    installed, root, database = release(version), tmp_path / "artifacts", tmp_path / "mlflow.db"
    root.mkdir()
    proxied = access == "proxied"
    environment = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{database}",
        "MLFLOW_SERVE_ARTIFACTS": str(proxied).lower(),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/" if proxied else str(root),
        **({"MLFLOW_ARTIFACTS_DESTINATION": str(root)} if proxied else {}),
    }
    with serving(installed, tmp_path, environment) as url:
        logged = log_everything(installed, url, tmp_path)

        def collect(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [installed.python, "-I", PROGRAM, "--older-than-days", "1", *arguments],
                env={**environment, "HOME": str(tmp_path), "MLFLOW_TRACKING_URI": url, "PATH": "/usr/bin:/bin"},
                cwd="/",
                check=False,
                capture_output=True,
                text=True,
                timeout=300,
            )

        young = collect("--delete")
        assert (young.returncode, young.stderr) == (0, "")
        assert "ago: 0 runs, 0 experiments" in young.stdout

        age(database, 2)
        before = {path for path in root.rglob("*") if path.is_file()}
        theirs = {path for path in before if logged["deleted_run_id"] in str(path)}
        assert theirs

        report = collect()
        assert report.returncode == 0, report.stderr
        assert (
            f"ago: 1 runs, 1 experiments, 0 logged_models; 1 files of {sum(p.stat().st_size for p in theirs)} bytes"
            in (report.stdout)
        )
        assert {path for path in root.rglob("*") if path.is_file()} == before

        done = collect("--delete")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "removed 2 of 2; mlflow gc ended with 0" in done.stdout
        assert {path for path in root.rglob("*") if path.is_file()} == before - theirs
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("select count(*) from runs where lifecycle_stage = 'deleted'").fetchone() == (0,)


def test_files_that_stay_are_told(tmp_path: Path) -> None:
    """A release that passes over what it can't remove must not look as if all were well."""
    database = tmp_path / "mlflow.db"
    root = tmp_path / "artifacts"
    (root / "1/r/artifacts").mkdir(parents=True)
    (root / "1/r/artifacts/model").write_bytes(b"model")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "create table runs (run_uuid text primary key, name text, artifact_uri text, lifecycle_stage text, "
            "deleted_time integer)"
        )
        connection.execute("insert into runs values ('r', 'first', ?, 'deleted', 1)", (f"{root}/1/r/artifacts",))
        connection.commit()
    # In the place of MLflow: one that says it is done.
    script = (
        "import runpy, sys; main = runpy.run_path(sys.argv.pop(1))['main'];"
        "main.__globals__['remove'] = lambda days: 0; sys.exit(main())"
    )
    done = subprocess.run(
        [release(NEWEST).python, "-I", "-c", script, PROGRAM, "--older-than-days", "1", "--delete"],
        env={"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{database}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 1, done.stderr
    assert "removed 0 of 1" in done.stdout
    assert f"its files are still there: {root}/1/r/artifacts" in done.stderr
