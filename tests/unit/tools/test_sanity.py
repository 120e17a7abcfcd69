from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import sanity


def test_an_existing_get_pip_is_left_alone(tmp_path: Path) -> None:
    script = tmp_path / "get_pip_24_2.py"
    script.write_text("the real one")
    sanity.lay_stand_in(Path("/nonexistent/python"), "24.2", tmp_path)
    assert script.read_text() == "the real one"


def test_the_stand_in_drops_what_only_get_pip_knows(tmp_path: Path) -> None:
    wheel = tmp_path / "pip.whl"
    package = wheel / "pip" / "_internal" / "cli"
    package.mkdir(parents=True)
    for directory in (package, package.parent, package.parent.parent):
        (directory / "__init__.py").touch()
    (package / "main.py").write_text("def main(arguments):\n    return ' '.join(arguments)\n")
    script = tmp_path / "get_pip.py"
    script.write_text(sanity.STAND_IN.format(version="1", wheel=wheel.name))
    given = ["--no-setuptools", "--disable-pip-version-check", "--no-wheel", "pip==1"]
    done = subprocess.run([sys.executable, str(script), *given], capture_output=True, text=True, check=False)
    assert done.stderr == f"install --no-index --find-links {tmp_path} --disable-pip-version-check pip==1\n"


def test_shims_are_left_out_of_the_search_path() -> None:
    inherited = "/root/.pyenv/shims:/usr/bin:/root/.asdf/shims/:/bin"
    assert sanity.search_path(Path("/venv/bin"), inherited) == "/venv/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("script", "code"),
    [("print('fine')", 0), ("raise SystemExit(3)", 3), ("print('WARNING: All targets skipped.')", 1)],
    ids=["passed", "failed", "tested nothing"],
)
def test_a_run_that_tested_nothing_is_a_failure(script: str, code: int, tmp_path: Path) -> None:
    assert sanity.run([sys.executable, "-c", script], tmp_path, {}) == code
