"""The script that looks again and again whether a host reaches the artifacts."""

from __future__ import annotations

import os
import pwd
import re
import runpy
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import deployment_marker, mountinfo
from tests.unit.roles.role_files import ROLES

SCRIPT = ROLES / "mlflow_artifact_check" / "files" / "mlflow-artifact-watch"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def watch() -> Any:
    script = SimpleNamespace(**runpy.run_path(str(SCRIPT), run_name="watch"))
    assert script.MARKER == deployment_marker.NAME
    return script


def config(watch: Any, **given: Any) -> Any:
    values = {
        "path": "/mnt/mlflow",
        "share": "",
        "deployment": "ours",
        "user": "alice",
        "group": "mlflow-users",
        "timeout": 20.0,
        "grace": 100.0,
        "textfile_directory": "",
        "manual": "",
    }
    return watch.Config(**{**values, **given})


LOCAL = "22 1 254:1 / / rw - ext4 /dev/vda1 rw"
AUTOFS = "39 22 0:44 / /mnt/mlflow rw - autofs systemd-1 rw,direct"
NFS = r"40 22 0:45 / /mnt/mlflow rw shared:3 - nfs4 nas:/srv/ml\040flow rw,vers=4.2"
ABOVE = "40 22 0:45 / /mnt rw - nfs4 nas:/srv rw"
GOOD = {"step": "open", "read_only": False, "full": False, "marker": "ours", "done": True}


def met(error: str, step: str = "open") -> dict[str, Any]:
    return {"step": step, "error": error, "text": f"met {error}", "done": True}


@pytest.mark.parametrize("path", ["/mnt/mlflow", "/mnt/mlflow/1", "/mnt/mlflow2", "/mnt", "/", "/srv"])
@pytest.mark.parametrize("lines", [[LOCAL], [LOCAL, NFS], [LOCAL, ABOVE, NFS], [LOCAL, AUTOFS, NFS], [LOCAL, NFS, NFS]])
def test_reads_the_mount_table_as_the_collection_does(watch: Any, path: str, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    found, wanted = watch.covering(text, path), mountinfo.covering(mountinfo.parse(text), path)
    assert wanted is not None
    assert (found.point, found.fstype, found.source) == (wanted.mount_point, wanted.fstype, wanted.source)
    assert found.is_network == wanted.is_network


@pytest.mark.parametrize(
    ("seen", "lines", "reason", "words"),
    [
        (GOOD, [LOCAL, NFS], "ok", "/mnt/mlflow is the deployment's (nfs4 nas:/srv/ml flow"),
        (GOOD, [LOCAL, AUTOFS, NFS], "ok", "nfs4"),
        (GOOD, [LOCAL], "not_mounted", "systemctl start $(systemd-escape"),
        (GOOD, [LOCAL, AUTOFS], "not_mounted", "nas:/srv/mlflow is not mounted at /mnt/mlflow"),
        (met("ENODEV", "statvfs"), [LOCAL, AUTOFS], "not_mounted", "met ENODEV"),
        (met("ENOENT", "statvfs"), [LOCAL], "not_mounted", "met ENOENT"),
        ({**GOOD, "marker": "theirs"}, [LOCAL, NFS], "other_directory", "'theirs', not to 'ours'"),
        ({**GOOD, "marker": ""}, [LOCAL, NFS], "other_directory", "'', not to 'ours'"),
        (met("ENOENT"), [LOCAL], "not_mounted", "nas:/srv/mlflow is not mounted at /mnt/mlflow"),
        (GOOD, [LOCAL, ABOVE], "ok", "mounted at /mnt)"),
        (met("ENOENT"), [LOCAL, NFS], "other_directory", "an empty disk, or another share"),
        ({**GOOD, "read_only": True}, [LOCAL, NFS], "read_only_mount", "remount,rw /mnt/mlflow"),
        ({**GOOD, "full": True}, [LOCAL, NFS], "no_space", "df -h"),
        (met("ESTALE", "statvfs"), [LOCAL, NFS], "stale_handle", "umount --lazy"),
        (met("EACCES"), [LOCAL, NFS], "access_denied", "alice may not read"),
        (met("ELOOP"), [LOCAL, NFS], "probe_failed", "met ELOOP"),
        ({"step": "statvfs", "waited": 20.1}, [LOCAL, NFS], "server_silent", "nc -zv nas 2049"),
        ({"step": "open", "waited": 120.1}, [LOCAL, NFS], "grace_period", "took more than 120 s"),
        ({"held": True}, [LOCAL, NFS], "server_silent", "a check that was started earlier"),
        ({"unknown": "alice", "done": True}, [LOCAL, NFS], "unknown_user", "alice"),
    ],
)
def test_judges_what_is_seen_of_a_share(
    watch: Any, seen: dict[str, Any], lines: list[str], reason: str, words: str
) -> None:
    mount = watch.covering("\n".join(lines), "/mnt/mlflow")
    verdict = watch.judge(config(watch, share="nas:/srv/mlflow"), seen, mount)
    assert verdict.reason == reason
    assert words in f"{verdict.message}. {verdict.remedy}"
    assert verdict.ok == (reason == "ok")
    assert bool(verdict.remedy) != verdict.ok


@pytest.mark.parametrize(
    ("seen", "lines", "reason"),
    [
        (GOOD, [LOCAL], "ok"),
        (met("ENOENT"), [LOCAL], "local_directory"),
        (met("ENOENT"), [LOCAL, ABOVE], "other_directory"),
        (met("ENOENT", "statvfs"), [LOCAL], "missing"),
        ({**GOOD, "marker": "theirs"}, [LOCAL], "other_directory"),
    ],
)
def test_where_no_mount_is_expected_the_marker_decides(
    watch: Any, seen: dict[str, Any], lines: list[str], reason: str
) -> None:
    mount = watch.covering("\n".join(lines), "/mnt/mlflow")
    assert watch.judge(config(watch), seen, mount).reason == reason


METRIC = re.compile(r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\} (?P<value>[0-9]+)')


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("ok", {"mlflow_artifact_path_ok": "1"}),
        ("not_mounted", {"mlflow_artifact_path_ok": "0", "mlflow_artifact_path_problem": "1"}),
    ],
)
def test_metrics_are_in_prometheus_format(watch: Any, reason: str, values: dict[str, str]) -> None:
    text = watch.metrics('/a "b"\\c\nd', watch.Verdict(reason, "message", "remedy"), 1234.5)

    assert text.endswith("\n")
    described = set(re.findall(r"^# TYPE (\w+) gauge$", text, re.MULTILINE)) & set(
        re.findall(r"^# HELP (\w+) \S", text, re.MULTILINE)
    )
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = METRIC.fullmatch(line)
            assert match, line
            assert 'path="/a \\"b\\"\\\\c\\nd"' in match["labels"]
            samples[match["name"]] = match["value"]
    assert samples == {**values, "mlflow_artifact_path_check_timestamp_seconds": "1234"}
    assert set(samples) <= described
    assert ('reason="not_mounted"' in text) == (reason != "ok")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the script on an artifact root that belongs to the deployment 'ours'."""
    for name in ("root", "metrics"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "root" / ".mlflow-deployment").write_text("ours\n")

    def start(
        *arguments: str, journal: bool = False, notify: str = "", **given: Any
    ) -> subprocess.CompletedProcess[str]:
        values = {
            "path": tmp_path / "root",
            "share": "",
            "deployment": "ours",
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "group": "nogroup",
            "timeout": 5,
            "grace": 0,
            "textfile_directory": tmp_path / "metrics",
            "manual": "https://example.org/why",
            **given,
        }
        conf = tmp_path / "watch.conf"
        conf.write_text("# managed\n[watch]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
        environment = {"PATH": "/usr/bin:/bin", **({"JOURNAL_STREAM": "8:1"} if journal else {})}
        if notify:
            environment["NOTIFY_SOCKET"] = notify
        command = (sys.executable, "-I", str(SCRIPT), "--config", str(conf), *arguments)
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)

    return start


def sample(tmp_path: Path) -> str:
    (file,) = (tmp_path / "metrics").iterdir()
    assert file.name == "mlflow_artifact_path.prom"
    assert file.stat().st_mode & 0o777 == 0o644
    return file.read_text()


def test_all_is_well(run: Run, tmp_path: Path) -> None:
    ran = run(journal=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"<6>artifacts: {tmp_path}/root is the deployment's (")
    assert ran.stdout.count("\n") == 1
    assert f'mlflow_artifact_path_ok{{path="{tmp_path}/root"}} 1\n' in sample(tmp_path)


def test_a_wrong_share_is_one_line_that_says_what_to_do(run: Run, tmp_path: Path) -> None:
    ran = run(journal=True, deployment="theirs")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("<3>artifacts: ")
    assert "'ours', not to 'theirs'" in ran.stdout
    assert "More: https://example.org/why#other_directory\n" in ran.stdout
    assert ran.stdout.count("\n") == 1
    assert 'reason="other_directory"} 1\n' in sample(tmp_path)


def test_an_expected_mount_that_is_absent(run: Run, tmp_path: Path) -> None:
    ran = run(share="nas:/srv/mlflow")
    assert ran.returncode == 1
    assert "[not_mounted]. Do: `systemctl start" in ran.stdout
    assert not ran.stdout.startswith("<")


def test_the_unit_s_status_tells_why_it_is_not_started(run: Run, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        run("--before-start", deployment="theirs", notify=address)
        told = systemd.recv(4096).decode()
        run(deployment="theirs", notify=address)
        with pytest.raises(BlockingIOError):
            systemd.recv(4096)
    assert told.startswith("STATUS=MLflow is not started: ")
    assert "\n" not in told
    assert run("--before-start", deployment="theirs", notify="/nowhere").returncode == 1


def test_before_a_start_nothing_is_written(run: Run, tmp_path: Path) -> None:
    (tmp_path / "root" / ".mlflow-deployment").unlink()
    ran = run("--before-start")
    assert ran.returncode == 1
    assert ran.stdout.startswith("MLflow is not started: ")
    assert list((tmp_path / "metrics").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_root_looks_as_somebody_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "root").chmod(0o700)
    ran = run(user="")
    assert ran.returncode == 1
    assert "group nogroup may not read" in ran.stdout
    assert "[access_denied]" in ran.stdout
    assert "[unknown_user]" in run(user="nobody-of-that-name").stdout
    assert run(user="root").returncode == 0


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/hostname", path)])
def test_a_marker_that_is_no_file_neither_hangs_nor_passes(run: Run, tmp_path: Path, make: Any) -> None:
    marker = tmp_path / "root" / ".mlflow-deployment"
    marker.unlink()
    make(marker)
    ran = run()
    assert ran.returncode == 1
    assert "[probe_failed]" in ran.stdout


def test_metrics_that_can_not_be_written_are_told(run: Run, tmp_path: Path) -> None:
    ran = run(journal=True, textfile_directory=tmp_path / "absent")
    assert ran.returncode == 0
    assert "<4>the metrics file could not be written" in ran.stdout


@pytest.mark.parametrize("text", ["", "nonsense", "[watch]\npath = /x\n", None])
def test_a_configuration_that_can_not_be_read(tmp_path: Path, text: str | None) -> None:
    conf = tmp_path / "watch.conf"
    if text is not None:
        conf.write_text(text)
    command = (sys.executable, "-I", str(SCRIPT), "--config", str(conf))
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ran.returncode == 2
    assert "can't be read" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_silent_file_system_is_given_up_in_time(watch: Any, tmp_path: Path) -> None:
    def hang(path: str) -> Any:
        yield {"step": "statvfs"}
        time.sleep(60)

    watch.ask.__globals__["look"] = hang
    watch.ask.__globals__["assume"] = lambda user, group: None
    began = time.monotonic()
    seen = watch.ask(config(watch, timeout=0.3, grace=60))
    assert time.monotonic() - began < 5
    assert seen["step"] == "statvfs"
    assert "done" not in seen
    assert watch.judge(config(watch), seen, None).reason == "server_silent"


def test_a_server_that_answers_but_opens_nothing_gets_its_grace(watch: Any) -> None:
    def slow(path: str) -> Any:
        yield {"step": "open", "read_only": False, "full": False}
        time.sleep(0.6)
        yield {"marker": "ours"}

    watch.ask.__globals__["look"] = slow
    watch.ask.__globals__["assume"] = lambda user, group: None
    assert watch.ask(config(watch, timeout=0.2, grace=20))["marker"] == "ours"
    seen = watch.ask(config(watch, timeout=0.2, grace=0.2))
    assert watch.judge(config(watch), seen, None).reason == "grace_period"


def test_while_a_child_is_held_no_other_one_is_started(watch: Any, tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    assert watch.held(lock, 0) is False
    assert watch.held(lock, 0) is True
    verdict = watch.check.__globals__["check"](config(watch, timeout=0), lock)
    assert verdict.reason == "server_silent"
    assert watch.held(str(tmp_path / "absent" / "lock"), 0) is False
