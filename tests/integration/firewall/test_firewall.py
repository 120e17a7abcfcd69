"""The rules that the role writes, on a real kernel: who is named gets through, nobody else, and all else is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import requirements
from lab.base import LabError, Places, Progress
from tests.integration.firewall.network import Network

SSH = 2222
NAMED = ["192.0.2.2", "2001:db8::2"]
RULES = [{"name": "mlflow", "port": 5000, "from": NAMED}, {"name": "nfs", "port": 2049, "from": ["192.0.2.2"]}]
OTHERS = "table inet filter { chain input { type filter hook input priority filter; tcp dport 2222 counter accept; }; }"


def ansible(directory: Path, hosts: dict[str, Any], tasks: list[dict[str, Any]], **inputs: Any) -> str:
    """Run tasks on `here`, this machine, and return what Ansible said."""
    hosts = {group: {"hosts": members} for group, members in hosts.items()}
    play = {"hosts": "here", "gather_facts": False, "connection": "local", "tasks": tasks, "vars": inputs}
    (directory / "hosts.yml").write_text(json.dumps(hosts), encoding="utf-8")
    (directory / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    command = ["ansible-playbook", "--inventory", str(directory / "hosts.yml"), str(directory / "play.yml")]
    command += ["--extra-vars", json.dumps({"ansible_python_interpreter": sys.executable})]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    return ended.stdout + ended.stderr


def write(directory: Path, rules: list[dict[str, Any]]) -> Path:
    """Have the role's template write the rules, after its preflight, and return the file."""
    template = {
        "src": "{{ role_path }}/templates/mlflow-firewall.nft.j2",
        "dest": str(directory / "rules.nft"),
        "mode": "0600",
        "validate": "/usr/sbin/nft --check --file %s",
    }
    role = {"name": "selfhosted.mlflow.mlflow_firewall", "tasks_from": "preflight", "public": True}
    path = Path(__file__).parents[3] / "roles/mlflow_firewall"
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.include_role": role},
        {"ansible.builtin.template": template, "vars": {"role_path": str(path)}},
    ]
    said = ansible(directory, {"mlflow_server": {"here": {}}}, tasks, mlflow_firewall_rules=rules)
    assert "failed=0" in said, said
    return directory / "rules.nft"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Something listens at MLflow's port, NFS', and one that stands for SSH's."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: network namespaces want root")
    try:
        requirements.require(Places.from_environment(os.environ), "firewall", Progress("firewall"))
    except LabError as error:
        pytest.skip(f"SKIPPED: {error}")
    network = Network(f"mlfw{os.getpid()}-")
    with network.up([5000, 2049, SSH]):
        yield network


@pytest.fixture(scope="module")
def rules(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules in force beside another firewall's."""
    assert network.gets_through("stranger", 5000)
    network.inside("host", "/usr/sbin/nft", OTHERS)
    file = write(tmp_path_factory.mktemp("rules"), RULES)
    network.load(file)
    return file


@pytest.mark.parametrize(
    ("caller", "port", "ip", "answered"),
    [
        ("named", 5000, 4, True),
        ("stranger", 5000, 4, False),
        ("named", 5000, 6, True),
        ("stranger", 5000, 6, False),
        ("named", 2049, 4, True),
        ("stranger", 2049, 4, False),
        # Named by its other address only.
        ("named", 2049, 6, False),
        ("named", SSH, 4, True),
        ("stranger", SSH, 4, True),
        ("stranger", SSH, 6, True),
        ("host", 5000, 4, True),
    ],
)
def test_who_gets_through(network: Network, rules: Path, caller: str, port: int, ip: int, answered: bool) -> None:
    assert network.gets_through(caller, port, ip=ip) is answered


def test_others_tables_stay(network: Network, rules: Path) -> None:
    assert network.tables() == {"mlflow", "filter"}


def test_another_version_replaces_it_and_a_second_load_changes_nothing(
    network: Network, rules: Path, tmp_path: Path
) -> None:
    network.load(write(tmp_path, [{"name": "mlflow", "port": 5000, "from": ["192.0.2.3/32", "192.0.2.128/25"]}]))
    assert [network.gets_through(caller, 5000) for caller in ("named", "stranger")] == [False, True]
    assert network.gets_through("stranger", 2049)
    network.load(rules)
    once = network.inside("host", "/usr/sbin/nft", "--stateless", "list", "ruleset")
    network.load(rules)
    assert network.inside("host", "/usr/sbin/nft", "--stateless", "list", "ruleset") == once
    assert [network.gets_through(caller, 5000) for caller in ("named", "stranger")] == [True, False]


def test_it_can_be_taken_back(network: Network, rules: Path) -> None:
    """As the unit's stop does."""
    network.inside("host", "/usr/sbin/nft", "delete", "table", "inet", "mlflow")
    assert network.gets_through("stranger", 5000)
    assert network.tables() == {"filter"}
    network.load(rules)


HERE: dict[str, Any] = {"here": {"ansible_host": "192.0.2.1"}}


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"mlflow_firewall_rules": [{"name": "ssh", "port": 22, "from": NAMED}]}, "none may close the port of"),
        ({"mlflow_firewall_rules": [{"name": "x", "port": 2200, "from": NAMED}], "ansible_port": 2200}, "the port of"),
        ({"mlflow_firewall_rules": [{"name": "mlflow", "port": 5000, "from": []}]}, "somebody must be named"),
        ({"mlflow_firewall_callers": ["gpu1.example.org"]}, "a name (gpu1.example.org"),
    ],
)
def test_refuses(tmp_path: Path, inputs: dict[str, Any], told: str) -> None:
    role = {"name": "selfhosted.mlflow.mlflow_firewall", "tasks_from": "preflight"}
    said = ansible(tmp_path, {"mlflow_server": HERE}, [{"ansible.builtin.include_role": role}], **inputs)
    assert told in " ".join(said.split())
    assert "failed=1" in said


@pytest.mark.parametrize(
    ("group", "rule"),
    [
        (
            "mlflow_server",
            {"name": "mlflow", "port": 5000, "from": ["192.0.2.9", "192.0.2.2", "192.0.2.5", "192.0.2.4/32"]},
        ),
        ("mlflow_nfs_server", {"name": "nfs", "port": 2049, "from": ["192.0.2.9", "192.0.2.2"]}),
        ("mlflow_database", {"name": "database", "port": 5432, "from": ["192.0.2.9"]}),
    ],
)
def test_the_inventory_says_who_is_named(tmp_path: Path, group: str, rule: dict[str, Any]) -> None:
    hosts: dict[str, Any] = {
        "mlflow_server": {"server": {"ansible_host": "192.0.2.9"}},
        "mlflow_clients": {"192.0.2.2": {}},
        "mlflow_proxy": {"proxy": {"ansible_host": "192.0.2.5"}},
    }
    hosts.setdefault(group, {})["here"] = {"ansible_host": "192.0.2.9"}
    role = {"name": "selfhosted.mlflow.mlflow_firewall", "tasks_from": "preflight", "public": True}
    show = {
        "ansible.builtin.copy": {"content": "{{ mlflow_firewall_rules | to_json }}", "dest": f"{tmp_path}/rules.json"}
    }
    said = ansible(
        tmp_path, hosts, [{"ansible.builtin.include_role": role}, show], mlflow_firewall_callers=["192.0.2.4/32"]
    )
    assert "failed=0" in said, said
    assert json.loads((tmp_path / "rules.json").read_text(encoding="utf-8")) == [rule]
