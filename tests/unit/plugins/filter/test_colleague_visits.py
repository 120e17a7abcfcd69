"""Who writes to whose directory, as the role hands it to the clients."""

from __future__ import annotations

from ansible_collections.selfhosted.mlflow.plugins.filter.artifact_path import artifact_path
from ansible_collections.selfhosted.mlflow.plugins.filter.colleague_visits import colleague_visits


def reply(client: str, user: str, path: str = "/mnt/mlflow") -> dict[str, object]:
    return {"client": client, "user": user, "path": path, "uid": 1, "made_uid": 1}


def test_visits_are_listed_by_client_and_stay_at_their_path() -> None:
    visits = colleague_visits([reply("ws1", "alice"), reply("ws2", "bob"), reply("ws2", "bob", "/old")])

    assert visits == {
        "ws1": [{"user": "alice", "path": "/mnt/mlflow", "their_client": "ws2", "their_user": "bob"}],
        "ws2": [{"user": "bob", "path": "/mnt/mlflow", "their_client": "ws1", "their_user": "alice"}],
    }


def test_one_user_on_many_clients_visits_nobody() -> None:
    assert colleague_visits([reply(f"ws{number}", "alice") for number in range(300)]) == {}


def test_uri_of_a_directory() -> None:
    assert artifact_path("file:///srv/mlflow") == "/srv/mlflow"
    assert artifact_path("s3://bucket/x") == ""
