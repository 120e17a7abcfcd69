"""Removing a check's runs for good: just these, never through a link, never in bulk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import forget_runs_program

NAME = "mlflow-artifact-check-0123456789abcdef-00000001"


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "root/5/abc/artifacts/check/nested/probe.bin")
    write(tmp_path / "root/4/old/artifacts/kept")
    write(tmp_path / "elsewhere/artifacts/kept")
    return tmp_path / "root"


def test_removes_the_run_and_its_experiments_directory(root: Path) -> None:
    forget_runs_program.remove_run(str(root), "5", "abc")

    assert sorted(path.name for path in root.iterdir()) == ["4"]
    assert (root / "4/old/artifacts/kept").exists()


def test_what_is_gone_is_no_error(root: Path) -> None:
    forget_runs_program.remove_run(str(root), "5", "other")
    forget_runs_program.remove_run(str(root), "6", "abc")

    assert (root / "5/abc").is_dir()


def test_another_runs_directory_stays(root: Path) -> None:
    write(root / "5/def/artifacts/kept")

    forget_runs_program.remove_run(str(root), "5", "abc")

    assert [path.name for path in (root / "5").iterdir()] == ["def"]


@pytest.mark.parametrize("link", ["5", "5/abc"])
def test_a_link_in_the_way_is_not_followed(root: Path, link: str) -> None:
    place = root / link
    place.rename(root.parent / "moved")
    target = root.parent / "elsewhere"
    (target / "abc").mkdir()
    place.symlink_to(target)

    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        forget_runs_program.remove_run(str(root), "5", "abc")
    assert (target / "artifacts/kept").exists()
    assert (target / "abc").is_dir()


def test_links_and_pipes_among_the_files_are_removed_themselves(root: Path) -> None:
    nested = root / "5/abc/artifacts/check/nested"
    (nested / "link").symlink_to(root.parent / "elsewhere")
    (nested.parent / "up").symlink_to(root / "4", target_is_directory=True)
    os.mkfifo(nested / "pipe")

    forget_runs_program.remove_run(str(root), "5", "abc")

    assert not (root / "5").exists()
    assert (root.parent / "elsewhere/artifacts/kept").exists()
    assert (root / "4/old/artifacts/kept").exists()


def test_many_files_are_not_the_checks(root: Path) -> None:
    for number in range(101):
        write(root / f"5/abc/artifacts/check/{number}")

    with pytest.raises(OSError, match="more than 100"):
        forget_runs_program.remove_run(str(root), "5", "abc")
    assert (root / "5/abc/artifacts/check/0").exists()


@pytest.mark.parametrize(
    "path",
    ["/mnt/5/abc", "/mnt/5/abc/artifacts/x", "/mnt/6/abc/artifacts", "/mnt/5/abd/artifacts", "5/abc/artifacts", "/"],
)
def test_paths_of_another_form_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not where"):
        forget_runs_program.split_path(path, "5", "abc")


def test_path_of_a_run() -> None:
    assert forget_runs_program.split_path("/mnt/mlflow/5/abc/artifacts/", "5", "abc") == "/mnt/mlflow"


@pytest.mark.parametrize(
    ("uri", "destination", "found"),
    [
        ("/mnt/5/abc/artifacts", "", ("/mnt/5/abc/artifacts", "")),
        ("mlflow-artifacts:/5/abc/artifacts", "/srv", ("/srv", "5/abc/artifacts")),
        ("mlflow-artifacts://host:1/5/abc/artifacts", "s3://b", ("s3://b", "5/abc/artifacts")),
        ("s3://b/5/abc/artifacts", "/srv", ("s3://b/5/abc/artifacts", "")),
    ],
)
def test_where_artifacts_are(uri: str, destination: str, found: tuple[str, str]) -> None:
    assert forget_runs_program.place(uri, destination) == found


def test_proxied_artifacts_without_a_destination() -> None:
    with pytest.raises(ValueError, match="MLFLOW_ARTIFACTS_DESTINATION"):
        forget_runs_program.place("mlflow-artifacts:/5", "")


@dataclass
class Store:
    """What the program uses of MLflow's store."""

    uri: str
    name: str = NAME
    stage: str = "deleted"
    gone: list[str] = field(default_factory=list)

    def get_experiment(self, number: str) -> Any:
        return SimpleNamespace(name=self.name, lifecycle_stage=self.stage)

    def search_runs(self, numbers: list[str], text: str, stages: str, max_results: int) -> list[Any]:
        assert (numbers, stages) == (["5"], "all")
        return [SimpleNamespace(info=SimpleNamespace(run_id="abc", artifact_uri=self.uri))]

    def _hard_delete_run(self, run: str) -> None:
        self.gone.append(run)

    def _hard_delete_experiment(self, number: str) -> None:
        self.gone.append(number)


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What was removed from object stores, with fakes of MLflow's own modules."""
    removed: list[tuple[str, str | None]] = []

    def repository(store: str) -> Any:
        return SimpleNamespace(delete_artifacts=lambda below: removed.append((store, below)))

    fakes = {
        "mlflow.entities": SimpleNamespace(ViewType=SimpleNamespace(ALL="all")),
        "mlflow.utils.file_utils": SimpleNamespace(local_file_uri_to_path=lambda uri: uri.replace("file://", "")),
        "mlflow.store.artifact.artifact_repository_registry": SimpleNamespace(get_artifact_repository=repository),
    }
    monkeypatch.setattr(forget_runs_program, "import_module", fakes.__getitem__)
    monkeypatch.delenv("MLFLOW_ARTIFACTS_DESTINATION", raising=False)
    return removed


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize("prefix", ["", "file://"])
def test_forgets_files_and_rows(root: Path, prefix: str) -> None:
    store = Store(f"{prefix}{root}/5/abc/artifacts")

    assert forget_runs_program.forget(store, "5", NAME) == ""
    assert store.gone == ["abc", "5"]
    assert not (root / "5").exists()


@pytest.mark.usefixtures("objects")
def test_forgets_proxied_files_where_the_server_keeps_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", str(root))

    assert forget_runs_program.forget(Store("mlflow-artifacts:/5/abc/artifacts"), "5", NAME) == ""
    assert not (root / "5").exists()


def test_forgets_objects(objects: list[tuple[str, str | None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket/root")

    forget_runs_program.forget(Store("mlflow-artifacts:/5/abc/artifacts"), "5", NAME)
    forget_runs_program.forget(Store("s3://other/5/abc/artifacts"), "5", NAME)

    assert objects == [("s3://bucket/root", "5/abc/artifacts"), ("s3://other/5/abc/artifacts", None)]


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize(
    ("store", "why"),
    [
        (Store("/nowhere/5/abc/artifacts"), "No such file"),
        (Store("/mnt/artifacts"), "not where the check's runs are"),
        (Store("x", stage="active"), "is not the deleted"),
        (Store("x", name="somebody's"), "is not the deleted"),
    ],
)
def test_rows_stay_when_files_can_not_be_removed(store: Store, why: str) -> None:
    assert why in forget_runs_program.forget(store, "5", NAME)
    assert store.gone == []
