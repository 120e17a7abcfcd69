"""What a watched site notices by itself: on clients within an interval, on the server before it starts."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

ROOT = "/mnt/mlflow"
MARKER = f"{ROOT}/.mlflow-deployment"
CONF = "/etc/mlflow-artifact-watch.conf"
UNIT = "mlflow-artifact-watch.service"
MOUNT = "mnt-mlflow.mount"
#: The role's timeout, and what starting Python on a busy host takes.
TIMEOUT = 20
SLACK = 40


@pytest.fixture(scope="module", params=["client12", "client13", "server"])
def watched(request: pytest.FixtureRequest, inventory: AnsibleRunner) -> Host:
    return inventory.get_host(request.param)


@pytest.fixture(scope="module", params=["client13"])
def client(request: pytest.FixtureRequest, inventory: AnsibleRunner) -> Host:
    return inventory.get_host(request.param)


@pytest.fixture(scope="module")
def nas(inventory: AnsibleRunner) -> Host:
    return inventory.get_host("nas")


def look(host: Host) -> tuple[int, str]:
    """Let the timer's unit run now, and return its exit code and the line it told the journal."""
    code = host.run(f"systemctl start {UNIT}").rc
    run = host.check_output(f"systemctl show {UNIT} --property=InvocationID --value")
    lines = host.check_output(f"journalctl --output=cat _SYSTEMD_INVOCATION_ID={run}").splitlines()
    (line,) = (found for found in lines if found.startswith("artifacts: "))
    return code, line


@contextmanager
def unmounted(host: Host) -> Iterator[None]:
    host.check_output(f"systemctl stop {MOUNT}")
    try:
        yield
    finally:
        host.check_output(f"umount {ROOT} 2>/dev/null; systemctl start {MOUNT}")


@contextmanager
def metrics(host: Host) -> Iterator[str]:
    """Have metrics written to a directory that is removed afterwards, and yield their file's name."""
    directory = "/var/lib/test-node-exporter"
    host.check_output(f"mkdir -p {directory} && cp -p {CONF} /root/kept.conf")
    host.check_output(f"sed -i 's|^textfile_directory = .*|textfile_directory = {directory}|' {CONF}")
    try:
        yield f"{directory}/mlflow_artifact_path.prom"
    finally:
        host.check_output(f"mv /root/kept.conf {CONF} && rm -r {directory}")


def as_service(server: Host, script: str) -> str:
    """Run a script as the user whom the share lets in, which root is not."""
    return str(server.check_output(f"runuser -u mlflow -- sh -c {shlex.quote(script)}"))


def test_all_hosts_know_one_deployment(watched: Host, server: Host) -> None:
    deployment = as_service(server, f"cat {MARKER}")

    assert re.fullmatch("[0-9a-f]{32}", deployment)
    assert as_service(server, f"stat --format='%U %a' {MARKER}") == "mlflow 644"
    assert f"deployment = {deployment}\n" in watched.file(CONF).content_string


def test_the_timer_is_on(watched: Host) -> None:
    timer = watched.service("mlflow-artifact-watch.timer")

    assert timer.is_running
    assert timer.is_enabled


def test_all_is_well(watched: Host) -> None:
    code, line = look(watched)

    assert (code, "is the deployment's (nfs4 nas:/srv/mlflow" in line) == (0, True), line


def test_metrics_tell_it_to_prometheus(client: Host) -> None:
    with metrics(client) as name:
        look(client)
        well = client.file(name).content_string
        with unmounted(client):
            look(client)
            ill = client.file(name).content_string
        mode = client.file(name).mode

    assert f'mlflow_artifact_path_ok{{path="{ROOT}"}} 1\n' in well
    assert f'mlflow_artifact_path_ok{{path="{ROOT}"}} 0\n' in ill
    assert f'mlflow_artifact_path_problem{{path="{ROOT}",reason="not_mounted"}} 1\n' in ill
    assert mode == 0o644


def test_a_share_that_is_away_is_told_with_what_to_do(client: Host) -> None:
    with unmounted(client):
        code, line = look(client)

    assert code != 0
    assert "[not_mounted]" in line
    assert "`systemctl start $(systemd-escape --path --suffix=mount /mnt/mlflow)`" in line
    assert look(client)[0] == 0


def test_what_it_says_to_do_mends_it(client: Host) -> None:
    with unmounted(client):
        command = re.findall("Do: `([^`]+)`", look(client)[1])[0]
        client.check_output(command)
        assert look(client)[0] == 0


def test_another_share_is_told_apart(client: Host, nas: Host) -> None:
    nas.check_output("mkdir -p -m 0777 /srv/other && exportfs -o rw,no_subtree_check,fsid=77 '*:/srv/other'")
    try:
        with unmounted(client):
            client.check_output(f"mount -t nfs4 nas:/srv/other {ROOT}")
            code, line = look(client)
    finally:
        nas.check_output("exportfs -u '*:/srv/other'")

    assert (code, "[other_directory]" in line, "nas:/srv/other" in line) == (1, True, True), line


def test_a_local_directory_is_told_apart(client: Host) -> None:
    with unmounted(client):
        client.check_output(f"mount -t tmpfs none {ROOT} && touch {MARKER}")
        code, line = look(client)

    assert (code, "[not_mounted]" in line) == (1, True), line


def test_a_silent_nas_neither_holds_it_up_nor_piles_up_processes(client: Host, nas: Host) -> None:
    nas.check_output("systemctl stop nfs-server.service")
    try:
        for _attempt in range(2):
            began = time.monotonic()
            code, line = look(client)
            assert (code, "[server_silent]" in line) == (1, True), line
            assert time.monotonic() - began < TIMEOUT + SLACK
        left = client.run("pgrep --full mlflow-artifact-watc[h]").stdout
    finally:
        nas.check_output("systemctl start nfs-server.service")

    assert left == ""
    assert look(client)[0] == 0


def test_the_sandbox_is_tight(watched: Host) -> None:
    report = watched.check_output(f"systemd-analyze security --no-pager {UNIT}")
    level = re.search(r"exposure level for \S+: ([\d.]+)", report)

    assert level is not None, report
    assert float(level[1]) <= 2.4, report


def wait_until_active(server: Host, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.run("systemctl is-active mlflow.service").stdout.strip() == "active":
            return True
        time.sleep(3)
    return False


@pytest.mark.parametrize(("change", "said"), [("echo theirs > {0}", "'theirs'")])
def test_the_server_starts_only_with_its_own_marker(server: Host, change: str, said: str) -> None:
    as_service(server, f"cp {MARKER} {ROOT}/.kept; {change.format(MARKER)}")
    try:
        started = server.run("systemctl restart mlflow.service")
        status = server.run("systemctl status --no-pager --full mlflow.service").stdout
    finally:
        as_service(server, f"mv -f {ROOT}/.kept {MARKER}")

    assert started.rc != 0
    assert "MLflow is not started: " in status, status
    assert said in status, status
    # Nobody starts it: it tries again by itself.
    assert wait_until_active(server, 180)
    server.check_output("systemctl restart mlflow.service")


def test_the_server_does_not_start_on_the_bare_mount_point(server: Host) -> None:
    server.check_output("systemctl stop mlflow.service")
    with unmounted(server):
        # Asked of its own, for starting the service would mount the share first.
        ran = server.run(
            "runuser -u mlflow -- /usr/bin/python3 -I /usr/local/libexec/mlflow-artifact-watch --before-start"
        )
    server.check_output("systemctl start mlflow.service")

    assert (ran.rc, "[not_mounted]" in ran.stdout) == (1, True), ran.stdout
