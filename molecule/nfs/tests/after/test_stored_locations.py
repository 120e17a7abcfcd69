"""What the audit makes of the locations that a real server has stored."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import testinfra
from testinfra.host import Host

ROOT = "/mnt/mlflow"
ADDRESS = "http://server:5000"
#: A deleted experiment keeps its name and its place.
ONCE = uuid.uuid4().hex[:8]

Audit = Callable[..., dict[str, Any]]


def post(url: str, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    address = urlsplit(url)
    path = f"{address.path}/api/2.0/mlflow/{endpoint}"
    with closing(HTTPConnection(str(address.hostname), address.port, timeout=30)) as connection:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        with connection.getresponse() as response:
            answer: dict[str, Any] = json.load(response)
            assert response.status == 200, answer
    return answer


@pytest.fixture(scope="module")
def audit() -> Audit:
    inventory = Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    server = testinfra.get_host(f"ansible://server?force_ansible=True&ansible_inventory={inventory}")

    def run(**inputs: Any) -> dict[str, Any]:
        arguments = json.dumps({"tracking_uri": ADDRESS, "artifact_root": ROOT, **inputs})
        result: dict[str, Any] = server.ansible(
            "selfhosted.mlflow.stored_locations_info", arguments, check=False, become=True
        )
        assert result["changed"] is False
        return result

    return run


def found(result: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [finding for finding in result["findings"] if finding["class"] == name]


@pytest.fixture
def stored(url: str) -> Iterator[Callable[[str, str], str]]:
    """Make experiments with locations of their own, and delete them at the end."""
    made = []

    def make(name: str, location: str) -> str:
        number = str(
            post(url, "experiments/create", {"name": f"{name}-{ONCE}", "artifact_location": location})["experiment_id"]
        )
        made.append(number)
        return number

    yield make
    for number in made:
        post(url, "experiments/delete", {"experiment_id": number})


def test_a_fresh_deployment_has_all_in_its_root(audit: Audit) -> None:
    result = audit()

    assert [finding["severity"] for finding in found(result, "stored_in_root")] == ["info"]
    assert [finding for finding in result["findings"] if finding["severity"] == "error"] == []
    assert result["roots"] == []


def test_locations_elsewhere_are_told_with_their_runs(
    audit: Audit, stored: Callable[[str, str], str], url: str
) -> None:
    number = stored("audit-elsewhere", f"/srv/elsewhere/{ONCE}")
    run = post(url, "runs/create", {"experiment_id": number, "start_time": 1})["run"]["info"]["run_id"]
    indirect = stored("audit-indirect", f"file://{ROOT}/../old/{ONCE}")

    result = audit()

    assert set(result["roots"]) == {f"/mnt/old/{ONCE}", f"/srv/elsewhere/{ONCE}"}
    (mine,) = (one for one in found(result, "stored_elsewhere") if one["evidence"]["root"] == f"/srv/elsewhere/{ONCE}")
    assert (mine["severity"], mine["evidence"]["runs"], mine["evidence"]["run_ids"]) == ("warning", 1, [run])
    assert [one["id"] for one in found(result, "stored_indirect")[0]["evidence"]["experiments"]] == [indirect]


def test_a_relative_location_becomes_one_of_the_servers_own(
    audit: Audit, stored: Callable[[str, str], str], server: Host
) -> None:
    directory = server.check_output("systemctl show mlflow.service --property=WorkingDirectory --value")
    stored("audit-relative", f"relative/{ONCE}")

    assert audit()["roots"] == [f"{directory}/relative/{ONCE}"]


def test_deleted_experiments_are_told_and_not_proved(audit: Audit, stored: Callable[[str, str], str], url: str) -> None:
    number = stored("audit-deleted", f"/srv/gone/{ONCE}")
    post(url, "experiments/delete", {"experiment_id": number})
    try:
        result = audit()
    finally:
        post(url, "experiments/restore", {"experiment_id": number})

    (gone,) = (one for one in found(result, "stored_elsewhere") if one["evidence"]["root"] == f"/srv/gone/{ONCE}")
    assert gone["severity"] == "info"
    assert result["roots"] == []


def test_proxied_locations_on_a_server_of_direct_access(audit: Audit, stored: Callable[[str, str], str]) -> None:
    stored("audit-proxied", "mlflow-artifacts:/audit")

    (finding,) = found(audit(), "stored_proxied")

    assert finding["severity"] == "error"
    assert "MLFLOW_SERVE_ARTIFACTS" in finding["remedy"]


@pytest.mark.parametrize(
    ("address", "name", "reason"),
    [
        (f"{ADDRESS}/prefix", "api_wrong_address", "not_found"),
        ("http://server:5999", "api_unreachable", "refused"),
        ("https://server:5000", "api_unreachable", "tls"),
        ("http://nowhere.invalid:5000", "api_unreachable", "name"),
    ],
)
def test_a_wrong_address_is_told(audit: Audit, address: str, name: str, reason: str) -> None:
    (finding,) = audit(tracking_uri=address)["findings"]

    assert (finding["class"], finding["evidence"]["reason"]) == (name, reason)
