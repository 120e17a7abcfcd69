from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import stage


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "roles").mkdir(parents=True)
    for name in ("galaxy.yml", "roles/new.yml", "left.tar.gz", "gone.yml"):
        (root / name).write_text(name)
    (root / ".gitignore").write_text("*.tar.gz\n")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "galaxy.yml", "gone.yml"], check=True)
    (root / "gone.yml").unlink()
    return root


def test_a_copy_holds_what_git_would_commit(repository: Path, tmp_path: Path) -> None:
    target = stage.copy(repository, tmp_path / "stage")
    copied = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert {name for name in copied if not name.startswith(".git/")} == {".gitignore", "galaxy.yml", "roles/new.yml"}


def test_a_second_copy_forgets_the_first(repository: Path, tmp_path: Path) -> None:
    stale = stage.copy(repository, tmp_path / "stage") / "stale.yml"
    stale.touch()
    stage.copy(repository, tmp_path / "stage")
    assert not stale.exists()


def test_the_copy_is_a_repository_of_its_own(repository: Path) -> None:
    """Or else ansible-test, which asks git what there is, would find nothing to test in an ignored directory."""
    (repository / ".gitignore").write_text("/.cache/\n")
    target = stage.copy(repository, repository / ".cache")
    assert stage.committable(target) == [
        Path(".gitignore"),
        Path("galaxy.yml"),
        Path("left.tar.gz"),
        Path("roles/new.yml"),
    ]


def test_the_link_leads_to_the_working_tree_and_moves_with_it(repository: Path) -> None:
    target = stage.link(repository, repository / ".cache" / "collections")
    assert (target / "galaxy.yml").read_text() == "galaxy.yml"
    moved = repository.rename(repository.with_name("moved"))
    assert (moved / ".cache" / "collections" / stage.NAME / "galaxy.yml").is_file()


def test_a_link_to_elsewhere_is_mended(repository: Path, tmp_path: Path) -> None:
    target = tmp_path / "collections" / stage.NAME
    target.parent.mkdir(parents=True)
    target.symlink_to("/nonexistent")
    assert stage.link(repository, tmp_path / "collections").resolve() == repository
