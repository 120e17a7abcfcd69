"""The file that MLflow's client takes a user's name and password from."""

from __future__ import annotations

import configparser
import io
import json
import os
import pwd
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.module_utils.client_credentials import render
from ansible_collections.selfhosted.mlflow.plugins.modules import client_credentials as module

PAIRS = [("alice", "simple"), ("alice", "100% 'of' \"a\" = p#a;s%(x)s:w"), ("jörg", "pässwörd")]
NOBODY = pwd.getpwnam("nobody")


def as_mlflow_reads(text: str) -> tuple[str, str]:
    """mlflow/utils/credentials.py, _read_mlflow_creds_from_file."""
    config = configparser.ConfigParser()
    config.read_string(text)
    return config["mlflow"]["mlflow_tracking_username"], config["mlflow"]["mlflow_tracking_password"]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("present", ["", "# only a comment\n", "nonsense", "[mlflow]\n", "[mlflow]\nother = 5%%\n"])
def test_mlflow_reads_what_is_written(pair: tuple[str, str], present: str) -> None:
    text = render(present, *pair)

    assert as_mlflow_reads(text) == pair
    assert render(text, *pair) == text


def test_what_else_there_is_stays() -> None:
    text = render("[mlflow]\nmine = 1\nmlflow_tracking_password = old\n[databricks]\nhost = x\n", "alice", "new")

    assert "mine = 1" in text
    assert "[databricks]\nhost = x" in text
    assert "old" not in text


def test_a_file_that_says_the_same_is_left_as_it_is() -> None:
    text = "# mine\n[mlflow]\nMLFLOW_TRACKING_USERNAME=alice\nmlflow_tracking_password: new\n"

    assert render(text, "alice", "new") == text


@dataclass(frozen=True)
class Home:
    """A home of nobody's, in a directory that it can enter."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path / ".mlflow/credentials"

    def run(self, given_password: str = PAIRS[1][1], **more: Any) -> dict[str, Any]:
        kept, sys.stdout = sys.stdout, io.StringIO()
        given = {"credentials": [{"user": "nobody", "username": "alice", "password": given_password}], **more}
        try:
            with patch_module_args(given), pytest.raises(SystemExit):
                module.main()
            said: dict[str, Any] = json.loads(sys.stdout.getvalue())
        finally:
            sys.stdout = kept
        return said


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: only root can write for others")
    with tempfile.TemporaryDirectory(prefix="selfhosted-mlflow-") as name:
        Path(name).chmod(0o711)
        path = Path(name, "home")
        path.mkdir()
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        account = pwd.struct_passwd((*NOBODY[:5], str(path), NOBODY.pw_shell))
        monkeypatch.setattr(pwd, "getpwnam", {"nobody": account}.__getitem__)
        yield Home(path)


def test_the_file_is_for_its_user_alone(home: Home) -> None:
    predicted = home.run(_ansible_check_mode=True)
    assert (predicted["changed"], home.file.exists()) == (True, False)

    assert home.run()["changed_users"] == ["nobody"]

    status = home.file.stat()
    assert (oct(stat.S_IMODE(status.st_mode)), status.st_uid, status.st_gid) == ("0o600", NOBODY.pw_uid, NOBODY.pw_gid)
    assert oct(stat.S_IMODE(home.file.parent.stat().st_mode)) == "0o700"
    assert as_mlflow_reads(home.file.read_text()) == PAIRS[1]
    assert home.run()["changed"] is False
    assert os.geteuid() == 0


def test_a_mode_that_lets_others_read_is_mended(home: Home) -> None:
    home.run()
    home.file.chmod(0o644)

    assert home.run()["changed"] is True
    assert oct(stat.S_IMODE(home.file.stat().st_mode)) == "0o600"


def test_no_password_is_said(home: Home) -> None:
    home.run()

    assert "another one" not in json.dumps({**home.run("another one"), "invocation": ""})


def test_a_link_leads_nowhere_that_its_user_may_not_go(home: Home) -> None:
    """Root would follow it."""
    other = home.path.parent / "of-root"
    other.mkdir(mode=0o755)
    (home.path / ".mlflow").symlink_to(other)

    said = home.run()

    assert "Permission denied" in said["msg"]
    assert list(other.iterdir()) == []


def test_unknown_users_are_told(home: Home) -> None:
    said = home.run(credentials=[{"user": "mallory", "password": "x"}])

    assert "there is no user mallory on this host" in said["msg"]
