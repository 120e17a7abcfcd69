"""What the role writes is taken by promtool, alerts as it says, and has a real Prometheus scrape a real MLflow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.databases import free_port
from tests.integration.moves.conftest import get, serving
from tests.integration.proxy.site import Authority, Server
from tests.integration.releases import Release
from tools import stage

HERE = Path(__file__).parent
ROLE = stage.REPOSITORY / "roles" / "mlflow_monitoring"
README = (ROLE / "README.md").read_text(encoding="utf-8")


def deploy(directory: Path, prometheus: Path, **inputs: Any) -> str:
    """Run the role on this machine, into a directory, and return what Ansible said."""
    variables = {
        "mlflow_monitoring_directory": str(directory / "mlflow"),
        "mlflow_monitoring_dashboard_directory": str(directory / "dashboards"),
        "mlflow_monitoring_promtool": str(prometheus / "promtool"),
        "mlflow_monitoring_service": "",
        "ansible_python_interpreter": sys.executable,
        **inputs,
    }
    inventory = {
        "mlflow_server": {"hosts": {"mlflow.example.org": {}}},
        "mlflow_nfs_server": {"hosts": {"nas.example.org": {}}},
        "monitoring": {"hosts": {"localhost": {"ansible_connection": "local"}}},
    }
    play = {"hosts": "monitoring", "gather_facts": False, "roles": ["selfhosted.mlflow.mlflow_monitoring"]}
    (directory / "hosts.yml").write_text(json.dumps(inventory), encoding="utf-8")
    (directory / "play.yml").write_text(json.dumps([{**play, "vars": variables}]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", str(directory / "hosts.yml"), str(directory / "play.yml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, prometheus: Path) -> Path:
    """What the role writes with its defaults."""
    directory = tmp_path_factory.mktemp("monitoring")
    assert "failed=0" in deploy(directory, prometheus)
    return directory


def configuration(directory: Path) -> Path:
    """Return the configuration that the README tells to write."""
    (text,) = re.findall(r"(?s)```yaml\n(rule_files:.*?)```", README)
    path = directory / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus/mlflow", str(directory / "mlflow")), encoding="utf-8")
    return path


def promtool(prometheus: Path, *arguments: str | Path) -> str:
    ended = subprocess.run([prometheus / "promtool", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_second_run_changes_nothing(written: Path, prometheus: Path) -> None:
    assert "changed=0 " in deploy(written, prometheus)


def test_promtool_takes_the_configuration_with_rules_and_targets(written: Path, prometheus: Path) -> None:
    said = promtool(prometheus, "check", "config", configuration(written))
    assert "7 rules found" in said


def test_alerts_come_when_they_should(written: Path, prometheus: Path) -> None:
    shutil.copy(HERE / "alerts.yml", written / "mlflow")
    assert "SUCCESS" in promtool(prometheus, "test", "rules", written / "mlflow/alerts.yml")


def test_every_alert_is_played(written: Path) -> None:
    (group,) = yaml.safe_load((written / "mlflow/rules.yml").read_text(encoding="utf-8"))["groups"]
    played = yaml.safe_load((HERE / "alerts.yml").read_text(encoding="utf-8"))["tests"]
    coming = {one["alertname"] for test in played for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert coming == {rule["alert"] for rule in group["rules"]}
    assert [rule["alert"] for rule in group["rules"] if f"`{rule['alert']}`" not in README] == []


def test_the_inventorys_names_are_scraped(written: Path) -> None:
    (target,) = yaml.safe_load((written / "mlflow/targets.yml").read_text(encoding="utf-8"))
    assert target["targets"] == ["mlflow.example.org:5000"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"mlflow_monitoring_targets": []}, "nothing would be watched"),
        ({"mlflow_monitoring_targets": ["http://mlflow:5000"]}, "HOST:PORT"),
        ({"mlflow_monitoring_disk_percent": 100}, "is no alert"),
        ({"mlflow_monitoring_target": ["mlflow:5000"]}, "write mlflow_monitoring_targets"),
    ],
)
def test_refuses(tmp_path: Path, prometheus: Path, inputs: dict[str, Any], told: str) -> None:
    said = deploy(tmp_path, prometheus, **inputs)
    assert told in said
    assert not (tmp_path / "mlflow").exists()


def asked(expressions: str) -> set[str]:
    """Return the names of the server's own metrics in expressions."""
    return set(re.findall(r"\bmlflow_http_\w+", expressions))


def test_prometheus_scrapes_a_real_server(tmp_path: Path, prometheus: Path, newest: Release) -> None:
    """With a static prefix, which moves everything but the metrics."""
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    environment = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": str(tmp_path / "artifacts"),
        "MLFLOW_EXPOSE_PROMETHEUS": str(metrics),
    }
    with serving(newest, tmp_path, environment) as url:
        server = urllib.parse.urlsplit(url).netloc
        assert "failed=0" in deploy(tmp_path, prometheus, mlflow_monitoring_targets=[server])
        get(url, "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0")
        exposed = get(url, "/metrics").decode()
        dashboard = (tmp_path / "dashboards/mlflow.json").read_text(encoding="utf-8")
        wanted = asked(dashboard) | asked((tmp_path / "mlflow/rules.yml").read_text(encoding="utf-8"))
        assert [name for name in sorted(wanted) if not re.search(rf"(?m)^{name}\{{", exposed)] == []

        with watching(tmp_path, prometheus) as port:
            # The first scrape may have come too early.
            answer = wait_for(port, "up == 1")
            called = wait_for(port, 'mlflow_http_request_total{status="200"}')
    assert [(one["metric"]["instance"], one["value"][1]) for one in answer] == [(server, "1")], answer
    assert called


@contextmanager
def watching(directory: Path, prometheus: Path, more: str = "") -> Iterator[int]:
    """Run Prometheus with the README's configuration and more for its job, and yield its port."""
    told = f"global: {{scrape_interval: 1s}}\n{configuration(directory).read_text(encoding='utf-8')}{more}"
    (directory / "prometheus.yml").write_text(told, encoding="utf-8")
    port = free_port()
    command = [
        str(prometheus / "prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        try:
            yield port
        finally:
            running.terminate()
            running.wait(30)


def test_prometheus_scrapes_a_server_that_speaks_tls_itself(tmp_path: Path, prometheus: Path) -> None:
    authority, port = Authority.make(tmp_path / "authority"), free_port()
    authority.issue("own", "DNS:localhost")
    files = {name: authority.directory / f"own.{name}" for name in ("pem", "key")}
    variables = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"localhost:{port}",
        "MLFLOW_UVICORN_OPTS": f"--ssl-certfile {files['pem']} --ssl-keyfile {files['key']}",
    }
    inputs = {"mlflow_monitoring_targets": [f"localhost:{port}"], "mlflow_monitoring_scheme": "https"}
    with Server(tmp_path, port, variables).serving():
        assert "failed=0" in deploy(tmp_path, prometheus, **inputs)
        with watching(tmp_path, prometheus, f"    tls_config: {{ca_file: {authority.file}}}\n") as asked:
            answer = wait_for(asked, "up == 1")
    assert [one["metric"]["instance"] for one in answer] == [f"localhost:{port}"]


def wait_for(port: int, expression: str, seconds: float = 120) -> list[dict[str, Any]]:
    """Ask Prometheus until it has something."""
    path = f"/api/v1/query?query={urllib.parse.quote(expression)}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found: list[dict[str, Any]] = json.loads(get(f"http://127.0.0.1:{port}", path))["data"]["result"]
        except (OSError, AssertionError):
            found = []
        if found:
            return found
        time.sleep(0.5)
    return []
