"""Users and permissions, by the module and a real server of each release."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.modules import accounts
from tests.integration.accounts.conftest import FIRST, Site, ask
from tests.integration.moves.conftest import serving
from tests.integration.releases import EACH, NEWEST, release

ALICE = {"name": "alice", "password": "alice's 1st % password"}
BOB = {"name": "bob", "password": "bob's first password", "update_password": "on_create"}
MAKE = "api/2.0/mlflow/experiments/create"
MODEL = "api/2.0/mlflow/registered-models/create"
LOOK = "api/2.0/mlflow/experiments/get-by-name?experiment_name=churn"
Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Server:
    """A running server with an experiment and a model of the administrator's, both called churn."""

    url: str
    config: str
    roles: bool

    def run(self, **given: Any) -> dict[str, Any]:
        """Run the module in this process, and return what it says."""
        told = {"tracking_uri": self.url, **given}
        if "username" not in given:
            told["admin_config"] = self.config
        return run(told)


def run(given: dict[str, Any]) -> dict[str, Any]:
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        with patch_module_args(given), pytest.raises(SystemExit):
            accounts.main()
        said: dict[str, Any] = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = kept
    return said


@pytest.fixture(scope="module", params=EACH)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    site = Site(release(request.param), tmp_path_factory.mktemp("site"))
    with site.serving(site.configure(FIRST)) as url:
        for path in (MAKE, MODEL):
            assert ask(url, ("admin", FIRST), path, {"name": "churn"})[0] == 200
        yield Server(url, str(site.root / "basic_auth.ini"), request.param == "3.17.2")


def actions(said: dict[str, Any]) -> list[str]:
    assert "steps" in said, said
    return [f"{step['action']} {step['user']}" for step in said["steps"]]


def may_look(server: Server, name: str, password: str) -> int:
    return ask(server.url, (name, password), LOOK)[0]


def test_users_and_permissions_from_nothing_to_nothing(server: Server) -> None:
    """One story, for a server takes its time to start."""
    given: dict[str, Any] = {
        "users": [ALICE, BOB, {"name": "mallory", "state": "absent"}],
        "permissions": [
            {"user": "alice", "experiment": "churn", "permission": "MANAGE"},
            {"user": "alice", "registered_model": "churn", "permission": "EDIT"},
            {"user": "bob", "experiment": "churn", "permission": "NO_PERMISSIONS"},
        ],
    }
    made = ["create alice", "create bob", "grant alice", "grant alice", "grant bob"]

    predicted = server.run(_ansible_check_mode=True, **given)
    assert actions(predicted) == made
    assert may_look(server, "alice", ALICE["password"]) == 401
    did = server.run(**given)
    assert (actions(did), did["diff"]) == (made, predicted["diff"])
    assert "password" not in json.dumps(did["diff"]).replace("(new password)", "")
    assert server.run(**given)["changed"] is False
    assert [may_look(server, one["name"], one["password"]) for one in (ALICE, BOB)] == [200, 403]

    # Each has another password, which counts for the one of them only.
    given["users"][:2] = [{**ALICE, "password": "alice's second password"}, {**BOB, "password": "not bob's password"}]
    given["permissions"][2]["permission"] = "READ"
    assert actions(server.run(**given)) == ["set_password alice", "change bob"]
    assert [may_look(server, *one) for one in (("alice", ALICE["password"]), ("bob", BOB["password"]))] == [401, 200]
    assert server.run(**given)["changed"] is False

    # What is not named is left alone, but by choice.
    assert server.run(permissions=given["permissions"][:1])["changed"] is False
    purged = server.run(permissions=given["permissions"][:1], purge=["permissions"])
    assert actions(purged) == ["revoke alice"]

    admin = [{"name": "bob", "admin": True}]
    assert (actions(server.run(users=admin)), server.run(users=admin)["changed"]) == (["set_admin bob"], False)
    gone = {"users": [{"name": "alice", "state": "absent"}, {"name": "bob", "state": "absent"}]}
    assert actions(server.run(**gone)) == ["delete alice", "delete bob"]
    assert server.run(**gone)["changed"] is False


def test_everybody_else_is_purged_by_choice(server: Server) -> None:
    server.run(users=[ALICE, BOB])
    said = server.run(users=[ALICE], purge=["users"])

    if server.roles:
        assert actions(said) == ["delete bob"]
        assert server.run(users=[ALICE], purge=["users"])["changed"] is False
    else:
        assert "purge has users, and this server can't list them" in said["msg"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"username": "admin", "password": "wrong password"}, ("401", "those given are not accepted")),
        ({"users": [{"name": "carol"}]}, ("'carol' is new, and has no password", "give it a password")),
        (
            {"permissions": [{"user": "admin", "experiment": "chrun", "permission": "READ"}]},
            ("the experiment 'chrun', which isn't there", "case counts"),
        ),
        (
            {"permissions": [{"user": "admin", "registered_model": "chrun", "permission": "READ"}]},
            ("the registered model 'chrun', which isn't there", "case counts"),
        ),
        (
            {"permissions": [{"user": "nobody", "experiment": "churn", "permission": "READ"}]},
            ("'nobody', whom the server doesn't know", "add the user"),
        ),
        (
            {"users": [{"name": "admin", "state": "absent"}]},
            ("the administrator who asks", "mlflow_server_admin_password"),
        ),
        (
            {"users": [{"name": "dave", "password": "eleven-long"}]},
            ("fewer than 12 characters", "12 characters or more"),
        ),
    ],
)
def test_refuses_and_changes_nothing(server: Server, given: dict[str, Any], told: tuple[str, ...]) -> None:
    said = server.run(**given)

    assert said["failed"]
    assert all(part in said["msg"] for part in told), said["msg"]
    assert "eleven-long" not in json.dumps({**said, "invocation": ""})


def test_an_account_that_may_not_is_told_so(server: Server) -> None:
    server.run(users=[ALICE])
    said = server.run(username="alice", password=ALICE["password"], users=[BOB])

    assert "403" in said["msg"] or "administrator" in said["msg"], said


def test_roles_have_more_permissions(server: Server) -> None:
    server.run(users=[ALICE])
    use = server.run(permissions=[{"user": "alice", "experiment": "*", "permission": "READ"}])
    all_of_them = server.run(permissions=[{"user": "alice", "experiment": "churn", "permission": "USE"}])

    if server.roles:
        assert (actions(use), actions(all_of_them)) == (["grant alice"], ["grant alice"])
    else:
        assert "on every experiment is unknown to this server" in use["msg"]
        assert "USE is unknown to this server" in all_of_them["msg"]


def test_a_server_without_accounts(tmp_path: Path) -> None:
    """Of the newest release."""
    variables = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    with serving(release(NEWEST), tmp_path, variables) as url:
        said = run({"tracking_uri": url, "username": "admin", "password": FIRST, "users": [ALICE]})

    assert "has no accounts" in said["msg"]
    assert "mlflow_server_basic_auth: true" in said["msg"]


def test_a_server_that_is_to_come_is_predicted(tmp_path: Path, free_ports: list[int]) -> None:
    given = {
        "tracking_uri": f"http://127.0.0.1:{free_ports[0]}",
        "admin_config": str(tmp_path / "basic_auth.ini"),
        "users": [ALICE],
        "permissions": [{"user": "alice", "experiment": "churn", "permission": "READ"}],
    }

    assert actions(run({**given, "_ansible_check_mode": True})) == ["create alice", "grant alice"]
    assert "admin_config is" in run(given)["msg"]
