"""What every deployed server must be, whatever the scenario."""

from __future__ import annotations

import re
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from testinfra.host import Host


def ask(url: str, host: str | None = None) -> int:
    """Return the status of a call that only a server with a database can answer."""
    address = urlsplit(url)
    headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
    path = f"{address.path}/api/2.0/mlflow/experiments/search"
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request("POST", path, body='{"max_results": 1}', headers=headers)
        with connection.getresponse() as response:
            return response.status


def properties(server: Host, *names: str) -> dict[str, str]:
    """Return properties of the unit as systemd tells them."""
    wanted = " ".join(f"--property={name}" for name in names)
    lines = server.check_output(f"systemctl show mlflow.service {wanted}").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_service_is_up_and_comes_up_at_boot(server: Host) -> None:
    service = server.service("mlflow")

    assert service.is_running
    assert service.is_enabled


def test_service_never_had_to_be_restarted(server: Host) -> None:
    assert properties(server, "NRestarts", "Result") == {"NRestarts": "0", "Result": "success"}


def test_started_means_that_the_api_answers(server: Host, url: str) -> None:
    # systemctl comes back only when the start is over: the very next call must be answered.
    server.check_output("systemctl restart mlflow.service")

    assert ask(url) == 200


@pytest.mark.parametrize("name", ["evil.example.org", "evil.example.org:5000", "x"])
def test_stranger_names_are_refused(url: str, name: str) -> None:
    assert ask(url, name) == 403


def test_own_name_is_answered(server: Host, url: str) -> None:
    port = url.split("/")[2].rpartition(":")[2]

    assert ask(url, f"{server.check_output('hostname')}:{port}") == 200


def test_sandbox_is_tight(server: Host) -> None:
    report = server.check_output("systemd-analyze security --no-pager mlflow.service")
    level = re.search(r"exposure level for mlflow.service: ([\d.]+)", report)

    assert level is not None, report
    assert float(level[1]) <= 1.5, report


def needed(server: Host) -> set[str]:
    """Return the directories that a server with these settings has to write to."""
    settings = server.check_output("cat %s", properties(server, "EnvironmentFiles")["EnvironmentFiles"].split(" ")[0])
    value = dict(re.findall(r'(?m)^(\w+)="?([^"\n]*)', settings))
    databases = re.findall(r"sqlite:///(/[^?\n\"]*)/", settings)
    artifacts = value.get("MLFLOW_ARTIFACTS_DESTINATION", value["MLFLOW_DEFAULT_ARTIFACT_ROOT"])
    metrics = {value["MLFLOW_EXPOSE_PROMETHEUS"]} if "MLFLOW_EXPOSE_PROMETHEUS" in value else set()
    return {value["HOME"], artifacts, *databases, *metrics}


def test_writes_where_it_must_and_nowhere_else(server: Host) -> None:
    """As a unit with the same account and sandbox sees it; /dev/shm and the like are its own."""
    unit = server.file("/etc/systemd/system/mlflow.service").content_string
    sandbox = re.sub(r"(?m)^(Exec|Type|Restart|RuntimeDirectory|Assert).*\n", "", unit)
    look = "/usr/bin/find / -path /proc -prune -o -type d -writable -print -prune"
    probe = sandbox.replace(
        "[Service]\n",
        f"[Service]\nType=oneshot\nStandardOutput=file:/run/mlflow-look.txt\nStandardError=null\nExecStart=-{look}\n",
    )
    server.check_output("printf '%%s' %s > /run/systemd/system/mlflow-look.service", probe)
    try:
        server.check_output("systemctl daemon-reload && systemctl start mlflow-look.service")
        found = set(server.check_output("cat /run/mlflow-look.txt").splitlines())
    finally:
        server.run("rm -f /run/systemd/system/mlflow-look.service /run/mlflow-look.txt && systemctl daemon-reload")

    assert found - {"/dev/mqueue", "/dev/shm", "/tmp", "/var/tmp"} == needed(server)


def test_secrets_are_for_the_service_alone(server: Host) -> None:
    told = properties(server, "EnvironmentFiles", "User", "Group")
    file = server.file(told["EnvironmentFiles"].split(" ")[0])

    assert (file.user, file.group, file.mode) == ("root", told["Group"], 0o640)
    assert told["User"] != "root"


def test_no_argument_tells_where_anything_is(server: Host) -> None:
    arguments = server.check_output("cat /proc/$(systemctl show mlflow.service --property=MainPID --value)/cmdline")

    assert "sqlite" not in arguments
    assert "://" not in arguments
