from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import pythons


def interpreter(path: Path, series: str, code: int = 0) -> Path:
    """A command that calls itself a Python of that series, or fails as a shim does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {series}\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path


def test_this_interpreter_tells_its_series() -> None:
    assert pythons.version_of(Path(sys.executable)) == "{}.{}".format(*sys.version_info)


def test_what_does_not_run_has_no_series(tmp_path: Path) -> None:
    assert pythons.version_of(tmp_path / "absent") is None
    assert pythons.version_of(interpreter(tmp_path / "shim", "3.12", code=127)) is None
    assert pythons.version_of(interpreter(tmp_path / "other", "pypy")) is None


def test_a_shim_is_passed_over_for_a_real_one(home: Path) -> None:
    interpreter(home / "bin" / "python3.12", "3.12", code=127)
    assert pythons.find("3.12") is None
    real = interpreter(home / ".pyenv" / "versions" / "3.12.1" / "bin" / "python3.12", "3.12")
    assert pythons.find("3.12") == real


def test_a_command_of_another_series_is_none(home: Path) -> None:
    interpreter(home / "bin" / "python3.12", "3.11")
    assert pythons.find("3.12") is None


def test_the_newest_of_a_range(home: Path) -> None:
    for series in ("3.9", "3.12", "3.13", "3.15"):
        interpreter(home / "bin" / f"python{series}", series)
    assert pythons.newest("3.12", "3.14") == home / "bin" / "python3.13"
    assert pythons.newest("3.9", "3.11") == home / "bin" / "python3.9"
    assert pythons.newest("3.14", "3.14") is None


def test_the_command_line_refuses_what_is_no_series(capsys: pytest.CaptureFixture[str]) -> None:
    assert pythons.main(["3.12", "latest"]) == 2
    assert "OLDEST NEWEST" in capsys.readouterr().err
