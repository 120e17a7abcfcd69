"""Which experiments are removed on the server, and what is said of those that are left."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import run_removal
from ansible_collections.selfhosted.mlflow.plugins.module_utils.run_removal import Removal, Server
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError
from tests.unit.plugins.fake_tracking import Answer, Asked, serve

RUN, OTHER = "0123456789abcdef", "fedcba9876543210"
HOUR = 3600


def listed(number: str, run: str, hours: float, stage: str = "active") -> dict[str, Any]:
    created = int((time.time() - hours * HOUR) * 1000)
    name = f"mlflow-artifact-check-{run}-0000000{number}"
    return {"experiment_id": number, "name": name, "creation_time": created, "lifecycle_stage": stage}


EXPERIMENTS = [
    listed("1", RUN, 0),
    listed("2", OTHER, 1),
    listed("3", OTHER, 25),
    listed("4", OTHER, 25, "deleted"),
    {**listed("5", OTHER, 25), "name": "mlflow-artifact-check-of-mine"},
]


def test_deletes_its_own_and_stale_ones_only() -> None:
    with serve(lambda asked: Answer(body={"experiments": EXPERIMENTS} if "search" in asked.path else {})) as fake:
        due = run_removal.due(TrackingApi(Access(fake.url)), RUN)

    assert list(due) == ["1", "3", "4"]
    assert fake.asked[0].body["view_type"] == "ALL"
    assert [one.body for one in fake.asked[1:]] == [{"experiment_id": "1"}, {"experiment_id": "3"}]


@pytest.mark.parametrize(("code", "raises"), [("RESOURCE_DOES_NOT_EXIST", False), ("PERMISSION_DENIED", True)])
def test_one_that_another_check_has_deleted_is_no_error(code: str, raises: bool) -> None:
    def respond(asked: Asked) -> Answer:
        if "search" in asked.path:
            return Answer(body={"experiments": EXPERIMENTS[:1]})
        return Answer(404, {"error_code": code, "message": "x"})

    with serve(respond) as fake:
        if raises:
            with pytest.raises(ApiError):
                run_removal.due(TrackingApi(Access(fake.url)), RUN)
        else:
            assert list(run_removal.due(TrackingApi(Access(fake.url)), RUN)) == ["1"]


def test_grants_are_taken_back() -> None:
    with serve(lambda asked: Answer()) as fake:
        run_removal.revoke(TrackingApi(Access(fake.url)), ["1", "3"], "ann")

    assert [one.body for one in fake.asked] == [
        {"username": "ann", "resource_type": "experiment", "resource_id": number} for number in ("1", "3")
    ]


def test_a_server_without_accounts_has_no_grants() -> None:
    with serve(lambda asked: Answer(404, b"<h1>Not Found</h1>")) as fake:
        run_removal.revoke(TrackingApi(Access(fake.url)), ["1"], "ann")


@pytest.fixture
def server(tmp_path: Path) -> Server:
    (tmp_path / "server.env").write_text('MLFLOW_BACKEND_STORE_URI="postgresql://u:p%40ss-w0rd@db/x"\nOTHER_KEY=k3y\n')
    return Server(str(tmp_path / "mlflow"), str(tmp_path / "server.env"), getpass.getuser(), 10)


def make_python(server: Server, script: str) -> None:
    path = Path(server.python)
    path.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    path.chmod(0o755)


def said(number: str, left: str) -> str:
    return f"echo '{json.dumps({'experiment': number, 'left': left})}'\n"


@pytest.mark.parametrize(
    ("script", "removal"),
    [
        (said("1", "") + said("2", ""), Removal(("1", "2"))),
        (said("1", "") + said("2", "no right"), Removal(("1",), {"2": "no right"})),
        (said("1", "") + "echo 'OSError: full' >&2; exit 1", Removal(("1",), {"2": "OSError: full"})),
        (said("1", ""), Removal(("1",), {"2": "it said nothing"})),
        ("exit 1", Removal((), {"1": "it said nothing", "2": "it said nothing"})),
        (
            'echo "E: $MLFLOW_BACKEND_STORE_URI p@ss-w0rd $OTHER_KEY" >&2; exit 1',
            Removal((), dict.fromkeys("12", "E: postgresql://u:***@db/x *** ***")),
        ),
    ],
)
def test_what_the_servers_own_mlflow_removed(server: Server, script: str, removal: Removal) -> None:
    make_python(server, script)

    assert run_removal.forget(server, {"1": "a", "2": "b"}) == removal


def test_a_removal_that_hangs_is_given_up(server: Server) -> None:
    make_python(server, said("1", "") + "sleep 60")
    late = Server(server.program, server.environment_file, server.user, 2)

    assert run_removal.forget(late, {"1": "a", "2": "b"}) == Removal(("1",), {"2": "not done within 2 s"})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"user": "no-such-user"}, "no user no-such-user"),
        ({"environment_file": "/nowhere/server.env"}, "/nowhere/server.env can't be read"),
        ({"program": "/nowhere/mlflow"}, "can't be started"),
    ],
)
def test_a_server_that_is_elsewhere(server: Server, changed: dict[str, str], why: str) -> None:
    other = Server(**{**vars(server), **changed})

    assert why in run_removal.forget(other, {"1": "a"}).left["1"]


def test_nothing_to_remove_starts_nothing(server: Server) -> None:
    assert run_removal.forget(server, {}) == Removal()


def test_what_is_left_is_a_warning() -> None:
    assert run_removal.findings(Removal(("1",)), {"1": "a"}) == []

    (finding,) = run_removal.findings(Removal((), {"1": "no right"}), {"1": "the-name"})

    assert (finding.name, finding.severity) == ("runs_left", "warning")
    assert "the-name" in finding.message
    assert "no right" in finding.message
