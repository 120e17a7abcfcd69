"""The host volumes of a Nomad client."""

from __future__ import annotations

from dataclasses import replace

import hcl2
import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_volumes
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_volumes import Place, Volume

SHARE = Volume("mlflow-artifacts", "/mnt/mlflow", share="nas:/srv/mlflow")
DATA = Volume("mlflow-data", "/var/lib/mlflow/backend", read_only=True)
FINE = Place("directory", source="nfs4 nas:/srv/mlflow", network=True, usable=True, owner="owner 850:851, mode 2770")
USER = "the task's user 850:851"

CLIENT_HCL = """
client {
  enabled = true
  host_volume "certificates" {
    path = "/etc/ssl"
  }
}
plugin "docker" {
  config { allow_caps = ["all"] }
}
"""


def test_the_drop_in_says_path_and_rights() -> None:
    (client,) = hcl2.loads(nomad_volumes.render([SHARE, DATA]))["client"]
    volumes = {name.strip('"'): body for one in client["host_volume"] for name, body in one.items()}

    assert volumes["mlflow-artifacts"]["path"].strip('"') == "/mnt/mlflow"
    assert volumes["mlflow-artifacts"]["read_only"] is False
    assert volumes["mlflow-data"]["read_only"] is True


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        (replace(SHARE, name="mlflow_artifacts"), "the host volume's name 'mlflow_artifacts'"),
        (replace(SHARE, name=""), "the host volume's name ''"),
        (replace(SHARE, path="mnt/mlflow"), "the path 'mnt/mlflow'"),
        (replace(SHARE, path="/mnt/../etc"), "the path '/mnt/../etc'"),
        (replace(SHARE, path="/"), "the path '/'"),
        (replace(SHARE, path='/mnt/"x'), "the path '/mnt/\"x'"),
        (replace(SHARE, path="/mnt/${x}"), "the path '/mnt/${x}'"),
        (replace(SHARE, name="certificates"), "/etc/nomad.d/client.hcl defines a host volume certificates"),
        (replace(SHARE, name="json"), "/etc/nomad.d/z.json defines a host volume json"),
        (replace(SHARE, name="listed"), "/etc/nomad.d/y.json defines a host volume listed"),
    ],
)
def test_bad_volumes_are_refused(volume: Volume, found: str) -> None:
    files = {
        "/etc/nomad.d/client.hcl": CLIENT_HCL,
        "/etc/nomad.d/z.json": '{"client": {"host_volume": {"json": {"path": "/x"}}}}',
        "/etc/nomad.d/y.json": '{"client": [{"host_volume": [{"listed": [{"path": "/x"}]}]}]}',
        "/etc/nomad.d/broken.json": "{",
    }

    problem, *_others = nomad_volumes.input_problems([volume], files)
    assert problem.found.startswith(found)
    assert nomad_volumes.input_problems([SHARE, DATA], files) == []


def test_names_are_told_apart() -> None:
    (problem,) = nomad_volumes.input_problems([SHARE, replace(DATA, name=SHARE.name)], {})

    assert problem.found == "two host volumes called mlflow-artifacts"


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (Place("missing"), "/mnt/mlflow, of the host volume mlflow-artifacts, does not exist"),
        (Place("a link to /srv"), "/mnt/mlflow, of the host volume mlflow-artifacts, is no directory"),
        (
            Place("", error="no answer within 10 s"),
            "/mnt/mlflow, of the host volume mlflow-artifacts, can't be looked at",
        ),
        (replace(FINE, network=False, source="ext4 /dev/vda"), "nas:/srv/mlflow is not mounted at /mnt/mlflow"),
        (replace(FINE, usable=False), "the task's user 850:851 may not write to /mnt/mlflow"),
    ],
)
def test_paths_are_proved_first(place: Place, found: str) -> None:
    (problem,) = nomad_volumes.place_problems(SHARE, place, USER)

    assert problem.found.startswith(found)


def test_what_is_right_is_no_problem() -> None:
    assert nomad_volumes.place_problems(SHARE, FINE, USER) == []
    assert nomad_volumes.place_problems(DATA, replace(FINE, network=False), USER) == []


@pytest.mark.parametrize(
    ("agent", "unit", "found"),
    [
        ({}, {"KillMode": "process"}, []),
        ({"LeaveOnInt": False, "Client": {"Drain": None}}, {}, []),
        ({"LeaveOnInt": True, "LeaveOnTerm": True}, {}, ["leave_on_interrupt", "leave_on_terminate"]),
        ({"Client": {"Drain": {"deadline": "1h"}}}, {}, ["client.drain_on_shutdown"]),
        ({}, {"KillMode": "control-group", "Id": "nomad.service"}, ["KillMode=control-group in nomad.service"]),
    ],
)
def test_what_a_restart_would_end_is_known(agent: dict[str, object], unit: dict[str, str], found: list[str]) -> None:
    assert nomad_volumes.disturbing(agent, unit) == found


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (None, ["mlflow-artifacts"]),
        ({"mlflow-artifacts": {"Path": "/mnt/mlflow", "ReadOnly": False}}, []),
        ({"mlflow-artifacts": {"Path": "/mnt/other", "ReadOnly": False}}, ["mlflow-artifacts"]),
        ({"mlflow-artifacts": {"Path": "/mnt/mlflow", "ReadOnly": True}}, ["mlflow-artifacts"]),
    ],
)
def test_the_node_must_show_them_as_wanted(shown: object, missing: list[str]) -> None:
    assert nomad_volumes.not_shown([SHARE], {"HostVolumes": shown}) == missing
