"""What a tracking server is asked for the audit; a fake that answers as MLflow 3.17.2 did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import location_audit
from ansible_collections.selfhosted.mlflow.plugins.module_utils.location_findings import Audit
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import Access, TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError
from tests.unit.plugins.fake_tracking import Answer, Asked, serve

NOT_THERE = Answer(404, b"<h1>Not Found</h1>")


@dataclass
class Tracking:
    """A server's experiments by workspace ('' for one without), runs by experiment, and its accounts."""

    experiments: dict[str, list[dict[str, str]]]
    runs: dict[str, int] = field(default_factory=dict)
    is_admin: bool | None = None
    serves_artifacts: bool = True
    old: bool = False
    page: int = 2

    def __call__(self, asked: Asked) -> Answer:
        name = urlsplit(asked.path).path.rpartition("/mlflow/")[2] or urlsplit(asked.path).path
        workspaces = sorted(filter(None, self.experiments))
        workspace = asked.headers.get("x-mlflow-workspace", "")
        if name.endswith("/search"):
            return self._search(name, self.experiments[workspace], asked)
        if name == "server-info" and not self.old:
            return Answer(body={"workspaces_enabled": bool(workspaces)})
        if name == "workspaces":
            return Answer(body={"workspaces": [{"name": one} for one in workspaces]})
        if name.startswith("users/") and self.is_admin is not None and (name == "users/get" or not self.old):
            return Answer(body={"user": {"is_admin": self.is_admin}})
        if "mlflow-artifacts" in asked.path:
            return Answer(body={"files": []}) if self.serves_artifacts else Answer(503, b"disabled")
        return NOT_THERE

    def _search(self, name: str, experiments: list[dict[str, str]], asked: Asked) -> Answer:
        if name == "experiments/search":
            assert asked.body["view_type"] == "ALL"
            return self._page("experiments", experiments, asked)
        assert asked.body["run_view_type"] == "ALL"
        assert set(asked.body["experiment_ids"]) <= {one["experiment_id"] for one in experiments}
        numbers = [one for one in asked.body["experiment_ids"] for _run in range(self.runs.get(one, 0))]
        infos = [{"info": {"experiment_id": one, "run_id": f"{one}-{at}"}} for at, one in enumerate(numbers)]
        return self._page("runs", infos, asked)

    def _page(self, key: str, items: list[Any], asked: Asked) -> Answer:
        size = min(self.page, asked.body["max_results"])
        start = int(asked.body.get("page_token", 0))
        token = {"next_page_token": str(start + size)} if start + size < len(items) else {}
        return Answer(body={key: items[start : start + size], **token} if items else {})


def experiments(*locations: str, start: int = 1) -> list[dict[str, str]]:
    return [
        {"experiment_id": str(number), "name": f"e{number}", "artifact_location": location}
        for number, location in enumerate(locations, start=start)
    ]


def ask(tracking: Tracking, limit: int = 20, **access: Any) -> Audit:
    with serve(tracking) as fake:
        return location_audit.ask(TrackingApi(Access(fake.url, **access)), "/mnt", limit)


def test_all_pages_count() -> None:
    found = ask(Tracking({"": experiments("/mnt/1", "/mnt/2", "/mnt/3", "/mnt/4", "/old/5")}))

    assert [one.number for one in found.locations.inside] == ["1", "2", "3", "4"]
    assert [one.root for one in found.locations.elsewhere] == ["/old"]


def test_runs_outside_the_root_are_counted() -> None:
    tracking = Tracking({"": experiments("/mnt/1", "/old/2", "/old/3", "rel", "s3://b/5")}, {"1": 9, "2": 3, "4": 1})

    found = ask(tracking)

    assert {root: (runs.total, runs.more, runs.of) for root, runs in found.runs.items()} == {
        "/old": (3, False, {"2": 3}),
        found.locations.unusable[0].root: (1, False, {"4": 1}),
    }
    assert found.runs["/old"].examples == ("2-0", "2-1", "2-2")


@pytest.fixture
def few_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location_audit, "RUNS_COUNTED", 5)


@pytest.mark.usefixtures("few_runs")
@pytest.mark.parametrize(("there", "counted"), [(4, (4, False)), (5, (5, False)), (6, (5, True)), (100, (5, True))])
def test_many_runs_are_not_all_counted(there: int, counted: tuple[int, bool]) -> None:
    runs = ask(Tracking({"": experiments("/old/1")}, {"1": there})).runs["/old"]

    assert (runs.total, runs.more) == counted


def test_ids_are_asked_for_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location_audit, "_IDS", 2)
    tracking = Tracking({"": experiments(*(f"/old/{number}" for number in range(1, 6)))}, {"1": 1, "5": 2}, page=9)
    with serve(tracking) as fake:
        found = location_audit.ask(TrackingApi(Access(fake.url)), "/mnt", 20)

    asked = [one.body["experiment_ids"] for one in fake.asked if one.path.endswith("runs/search")]
    assert asked == [["1", "2"], ["3", "4"], ["5"]]
    assert found.runs["/old"].of == {"1": 1, "5": 2}


def test_runs_are_counted_up_to_the_limit_of_roots() -> None:
    found = ask(Tracking({"": experiments("/a/x", "/b/x", "/c/x")}), limit=2)

    assert set(found.runs) == {"/a/x", "/b/x"}


def test_runs_that_cannot_be_asked_are_left_out() -> None:
    tracking = Tracking({"": experiments("/old/1")})
    with serve(lambda asked: Answer(500) if "runs" in asked.path else tracking(asked)) as fake:
        assert location_audit.ask(TrackingApi(Access(fake.url)), "/mnt", 20).runs == {}


def test_every_workspace_is_asked() -> None:
    spaces = {"default": experiments("/mnt/1"), "team": experiments("/old/workspaces/team/2", start=2)}

    found = ask(Tracking(spaces, {"2": 4}))

    assert [one.number for one in found.locations.inside] == ["1"]
    assert found.runs["/old"].total == 4


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("is_admin", [True, False, None])
def test_tells_whether_the_account_sees_all(is_admin: bool | None, old: bool) -> None:
    tracking = Tracking({"": experiments("/mnt/1")}, is_admin=is_admin, old=old)

    assert ask(tracking, username="ann", password="x" * 12).administrator is is_admin
    assert ask(tracking).administrator is None


@pytest.mark.parametrize(
    ("location", "serves", "refused"),
    [("mlflow-artifacts:/1", True, False), ("mlflow-artifacts:/1", False, True), ("/mnt/1", False, False)],
)
def test_asks_whether_proxied_artifacts_are_served(location: str, serves: bool, refused: bool) -> None:
    found = ask(Tracking({"": experiments(location)}, serves_artifacts=serves))

    assert bool(found.refusal) is refused


def test_a_server_that_answers_401_is_an_error() -> None:
    with serve(lambda asked: Answer(401)) as fake, pytest.raises(ApiError, match="401"):
        location_audit.ask(TrackingApi(Access(fake.url)), "/mnt", 20)
