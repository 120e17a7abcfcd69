"""The job that the role renders, read back by HCL's grammar (not by Nomad: the scenario `nomad` does that)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tools import stage

ROLE = stage.REPOSITORY / "roles/mlflow_nomad"
POSTGRESQL = "postgresql+psycopg2://mlflow:hunter2@db/mlflow"
#: What a site says, for each job that is rendered.
JOBS: dict[str, dict[str, Any]] = {
    "plain": {"mlflow_nomad_image": "registry.example.org/mlflow:3.17.2"},
    "home": {
        "mlflow_nomad_image": "registry.example.org/mlflow:3.17.2",
        "mlflow_artifact_root": "/mnt/mlflow",
        "mlflow_nfs_share": "nas:/srv/mlflow",
        "mlflow_tracking_uri": "https://mlflow.example.org",
        "mlflow_nomad_host_name": "mlflow.example.org",
        "mlflow_nomad_service_provider": "consul",
        "mlflow_nomad_tags": ["lab"],
        "mlflow_nomad_memory_max": 2048,
    },
    "podman": {"mlflow_nomad_image": "mlflow:1", "mlflow_nomad_driver": "podman"},
    "exec": {"mlflow_nomad_driver": "exec"},
    "many": {
        "mlflow_nomad_image": "mlflow:1",
        "mlflow_nomad_count": 3,
        "mlflow_nomad_backend_store_uri": POSTGRESQL,
        "mlflow_nomad_secrets": {"AWS_SECRET_ACCESS_KEY": "s3cr3t"},
        "mlflow_nomad_environment": {"TRICKY": 'a "quoted" ${attr.kernel.name} %{ if } \\ äöü\nline'},
    },
}
PLAY = """
- hosts: all
  gather_facts: false
  vars:
    role_path: {role}
    __mlflow_nomad_servers: "{{{{ mlflow_nomad_count }}}}"
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', role_path ~ '/templates/mlflow.nomad.hcl.j2') }}}}"
        dest: "{directory}/{{{{ inventory_hostname }}}}.hcl"
"""

Job = dict[str, Any]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The jobs as Ansible renders them."""
    directory = tmp_path_factory.mktemp("jobs")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {name: {**local, **given} for name, given in JOBS.items()}
    # What hosts say goes before what the role does by itself.
    role = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
    }
    (directory / "hosts.yml").write_text(json.dumps({"all": {"vars": role}, "mlflow_nomad": {"hosts": hosts}}))
    (directory / "play.yml").write_text(PLAY.format(role=ROLE, directory=directory))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "--inventory", str(directory / "hosts.yml"), str(directory / "play.yml")]
    run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=stage.REPOSITORY)
    assert run.returncode == 0, run.stdout + run.stderr
    return {name: (directory / f"{name}.hcl").read_text(encoding="utf-8") for name in JOBS}


def _plain(value: Any) -> Any:
    """Return what hcl2 read without the quotes and marks that it keeps."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str) and value.startswith('"') and value.endswith('"'):
        return value[1:-1]
    return value


@pytest.fixture(scope="module")
def group(texts: dict[str, str]) -> Callable[[str], Job]:
    def read(name: str) -> Job:
        job: Job = _plain(hcl2.loads(texts[name]))["job"][0]["mlflow"]
        assert job["type"] == "service"
        found: Job = job["group"][0]["server"]
        return found

    return read


def _task(group: Job) -> Job:
    found: Job = group["task"][0]["server"]
    return found


def test_the_path_is_the_same_inside_and_outside(group: Callable[[str], Job]) -> None:
    home = group("home")

    (artifacts,) = (one for one in _task(home)["volume_mount"] if one["volume"] == "mlflow-artifacts")
    assert artifacts["destination"] == "/mnt/mlflow"
    assert artifacts["propagation_mode"] == "host-to-task"
    assert _task(home)["env"][0]["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == "/mnt/mlflow"
    assert _task(home)["env"][0]["MLFLOW_SERVE_ARTIFACTS"] == "false"


def test_every_mount_has_its_host_volume(group: Callable[[str], Job]) -> None:
    for name in JOBS:
        volumes = {source["source"] for one in group(name)["volume"] for source in one.values()}
        assert volumes == {one["volume"] for one in _task(group(name))["volume_mount"]}
    assert len(group("many")["volume"]) == 1, "no directory for a database that is elsewhere"


def test_two_releases_never_run_on_one_database(group: Callable[[str], Job]) -> None:
    (update,) = group("many")["update"]

    assert (update["canary"], update["max_parallel"], update["auto_revert"]) == (0, 1, "true") or update[
        "auto_revert"
    ] is True
    assert group("many")["count"] == 3


def test_a_pool_is_large_enough_for_a_workers_requests(group: Callable[[str], Job]) -> None:
    assert _task(group("many"))["env"][0]["MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW"] == "40"
    assert "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW" not in _task(group("plain"))["env"][0], "SQLite has no server"


def test_no_secret_is_in_the_job(texts: dict[str, str], group: Callable[[str], Job]) -> None:
    assert "hunter2" not in texts["many"]
    assert "s3cr3t" not in texts["many"]
    (template,) = _task(group("many"))["template"]
    assert template["env"] is True
    assert 'nomadVar "nomad/jobs/mlflow"' in str(template["data"])
    assert "${NOMAD_SECRETS_DIR}" in template["destination"]


def test_text_is_neither_hcls_nor_nomads_to_interpret(texts: dict[str, str]) -> None:
    (line,) = (line.strip() for line in texts["many"].splitlines() if "TRICKY" in line)

    assert line == 'TRICKY = "a \\"quoted\\" $${attr.kernel.name} %%{ if } \\\\ \\u00e4\\u00f6\\u00fc\\nline"'


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("plain", {"readonly_rootfs", "cap_drop", "security_opt", "mount", "image", "ports"}),
        ("podman", {"readonly_rootfs", "cap_drop", "tmpfs", "image", "ports"}),
        ("exec", {"command", "args", "cap_drop"}),
    ],
)
def test_each_driver_is_told_what_it_knows(name: str, wanted: set[str], group: Callable[[str], Job]) -> None:
    assert set(_task(group(name))["config"][0]) - {"__comments__"} == wanted
    # Only containers take numbers.
    assert _task(group(name))["user"] == ("mlflow" if name == "exec" else "850:851")


def test_traefik_and_the_server_know_the_host_name(group: Callable[[str], Job]) -> None:
    (service,) = group("home")["service"]

    assert "traefik.http.routers.mlflow.rule=Host(`mlflow.example.org`)" in service["tags"]
    assert service["tags"][-1] == "lab"
    assert service["provider"] == "consul"
    assert service["check"][0]["path"] == "/health"
    names = _task(group("home"))["env"][0]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {"mlflow.example.org", "mlflow.example.org:5000", "localhost", "localhost:5000"} <= set(names)
    assert "traefik" not in str(group("plain")["service"][0]["tags"])
    assert "memory_max" not in _task(group("plain"))["resources"][0]
    assert _task(group("home"))["resources"][0]["memory_max"] == 2048
