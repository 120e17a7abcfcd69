"""A fake cluster of Nomad's with the jobs that the tests apply to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_deployment, nomad_job
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import Access, NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_result import Result, Wish
from tests.unit.plugins.fake_nomad import Nomad, job, run

NEEDLE = "0f3c1a2e-s3cr3t"
GROUP = {"Name": "server", "Count": 1, "Update": {"AutoRevert": False}, "Tasks": [{"Name": "mlflow"}]}
TEXTS = {
    "good": job(),
    "better": job(Meta={"does": "well", "image": "2"}),
    "bad": job("badly"),
    "bad, no way back": job("badly", TaskGroups=[GROUP]),
    "bad, once": job("badly", Meta={"does": "badly", "reschedule": "off"}, TaskGroups=[GROUP]),
    "stuck": job("nothing"),
    "unplaced": job("unplaced"),
    "plain": job(TaskGroups=[{**GROUP, "Update": None}]),
    "plain, crashing": job("badly", TaskGroups=[{**GROUP, "Update": None}]),
    "batch": job("exits", Type="batch", TaskGroups=[{**GROUP, "Update": None}]),
    "periodic": job("unplaced", Periodic={"Enabled": True}, TaskGroups=[{**GROUP, "Update": None}]),
    "elsewhere": job(Namespace="ml", Region="eu"),
    "slashed": job(name="team/mlflow"),
}


class Cluster:
    """A fake with a client; ``apply`` and ``remove`` are what the module does."""

    def __init__(self, nomad: Nomad, address: str) -> None:
        self.nomad = nomad
        self.api = NomadApi(Access(address, nomad.token))

    def apply(self, text: str, check_mode: bool = False, **wish: Any) -> Result:
        return nomad_job.present(self.api, Wish(text, **{"wait_seconds": 3, **wish}), check_mode)

    def remove(
        self, name: str = "mlflow", purge: bool = False, check_mode: bool = False
    ) -> tuple[Result, dict[str, str]]:
        return nomad_job.absent(self.api, name, purge, 0.3, check_mode)

    def written(self) -> list[str]:
        """What was asked for that changes something."""
        harmless = ("/v1/jobs/parse", "/v1/validate/job", "/plan")
        return [
            f"{asked.method} {asked.path}"
            for asked in self.nomad.asked
            if asked.method != "GET" and not asked.path.partition("?")[0].endswith(harmless)
        ]


@contextmanager
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Run a cluster for which nothing is waited long."""
    monkeypatch.setattr(nomad_job, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(nomad_job, "ROLLBACK_SECONDS", 0.3)
    monkeypatch.setattr(nomad_job, "PATIENCE", {nomad_deployment.UNPLACED: 0.05, nomad_deployment.RUNS: 0.05})
    nomad = Nomad(TEXTS, NEEDLE)
    with run(nomad) as fake:
        yield Cluster(nomad, fake.url)
