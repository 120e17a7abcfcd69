from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap


def test_root_with_apt_installs() -> None:
    command = bootstrap.apt_install("python3-pip", "no pip", as_root=True, has_apt=True)
    assert command == ["apt-get", "install", "--yes", "--no-install-recommends", "python3-pip"]


@pytest.mark.parametrize(
    ("as_root", "has_apt", "advice"),
    [
        (False, True, "no pip; run as root: apt-get install --yes --no-install-recommends python3-pip"),
        (True, False, "no pip; install python3-pip"),
        (False, False, "no pip; install python3-pip"),
    ],
)
def test_others_are_told_what_to_install(as_root: bool, has_apt: bool, advice: str) -> None:
    with pytest.raises(bootstrap.BootstrapError) as refused:
        bootstrap.apt_install("python3-pip", "no pip", as_root=as_root, has_apt=has_apt)
    assert str(refused.value) == advice


def test_an_old_python_is_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(
        bootstrap.BootstrapError, match=r"Python 3\.9\.2, this needs 3\.11 or newer.*PYTHON=python3\.11"
    ):
        bootstrap.bootstrap(tmp_path / "venv", tmp_path / "lock.txt", exact=False)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its interpreter has gone away, as after an upgrade of the system's Python."""
    environment, calls = tmp_path / "venv", list[list[str]]()
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to("/nonexistent/python")

    def run(command: list[str], *, check: bool) -> None:
        assert check
        calls.append(command)

    monkeypatch.setattr(bootstrap, "works", lambda command: "pip" in command)
    monkeypatch.setattr(subprocess, "run", run)
    bootstrap.bootstrap(environment, tmp_path / "lock.txt", exact=True)
    create, install_uv, sync = calls
    assert create == [sys.executable, "-m", "venv", "--clear", "--without-pip", str(environment)]
    assert "--require-hashes" in install_uv
    assert sync[1:3] == ["pip", "sync"]
    assert "--require-hashes" in sync
