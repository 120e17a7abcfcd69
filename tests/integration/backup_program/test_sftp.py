"""Backups in a restic repository behind a real sshd, which runs as an ordinary account on a port of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.backup_program.test_backup import Host, host, programs

__all__ = ["host", "programs"]
pytestmark = pytest.mark.usefixtures("programs")


@dataclass
class Sshd:
    """A running server: ``place`` are its files, ``account`` who may log in."""

    place: Path
    account: str
    port: int

    @property
    def repository(self) -> str:
        """Where restic puts it, in its notation."""
        return f"sftp://{self.account}@127.0.0.1:{self.port}/{self.place}/repository"


def program(place: Path) -> str:
    """Return sshd, unpacked from its package where it is not installed: installing would open port 22."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return found
    if not shutil.which("apt-get"):
        pytest.skip("there is neither sshd nor apt-get")
    subprocess.run(["apt-get", "-q", "download", "openssh-server"], cwd=place, check=True, capture_output=True)
    (package,) = place.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, place / "unpacked"], check=True)
    return str(place / "unpacked/usr/sbin/sshd")


def key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def sshd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place, port = Path(name), free_port()
        account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        (place / "authorized").write_text(key(place / "client"))
        public = key(place / "host")
        (place / "known").write_text(f"[127.0.0.1]:{port} {public}")
        (place / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\nPidFile none\nUsePAM yes\nStrictModes no\n"
            f"AuthorizedKeysFile {place}/authorized\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
        )
        # As it would stand in the account's own ~/.ssh/config, which a test has no business in.
        (place / "ssh_config").write_text(
            f"Host *\n  IdentityFile {place}/client\n  UserKnownHostsFile {place}/known\n  BatchMode yes\n"
        )
        (place / "bin").mkdir()
        (place / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {place}/ssh_config "$@"\n')
        (place / "bin/ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}/bin:{os.environ['PATH']}")
        (place / "repository").mkdir()
        place.chmod(0o755)
        prefix: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(place / "repository", account)
            shutil.chown(place / "host", account)
            prefix = ["runuser", "-u", account, "--"]
        with (place / "log").open("wb") as log:
            server = subprocess.Popen(
                [*prefix, program(place), "-D", "-e", "-f", place / "sshd_config"], stdout=log, stderr=log
            )
        try:
            wait(port, place / "log")
            yield Sshd(place, account, port)
        finally:
            server.terminate()
            server.wait(20)


def wait(port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.1)
    pytest.fail(log.read_text())


def test_a_lost_host_is_restored_from_another(host: Host, sshd: Sshd) -> None:
    runs, files = host.runs(), host.files()
    host.back_up(artifacts="restic", restic_repository=sshd.repository)
    assert (sshd.place / "repository/config").stat().st_uid == pwd.getpwnam(sshd.account).pw_uid
    host.lose()
    shutil.rmtree(host.backups)
    host.backups.mkdir()

    host.do("restore", artifacts="restic", restic_repository=sshd.repository)

    assert (host.runs(), host.files()) == (runs, files)


def test_a_host_that_does_not_let_in_is_told(host: Host, sshd: Sshd) -> None:
    (sshd.place / "authorized").write_text("")

    ran = host.run("run", artifacts="restic", restic_repository=sshd.repository)

    assert ran.returncode == 1
    # What ssh itself says of it may come too late for restic.
    assert "unable to start the sftp session" in ran.stderr
    assert "is the repository reached from here" in ran.stderr
    assert not (sshd.place / "repository/config").exists()
    assert host.do("list")["backups"] == []
