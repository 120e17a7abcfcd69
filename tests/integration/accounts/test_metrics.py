"""With accounts on, the server tells its metrics to administrators, and to nobody else."""

from __future__ import annotations

from pathlib import Path

from tests.integration.accounts.conftest import FIRST, Site, ask
from tests.integration.releases import NEWEST, release

ADMIN = ("admin", FIRST)
ALICE = ("alice", "alice's %: of the lab")


def test_an_account_alone_will_not_do(tmp_path: Path) -> None:
    site = Site(release(NEWEST), tmp_path)
    with site.serving(site.configure(FIRST, MLFLOW_EXPOSE_PROMETHEUS=str(tmp_path / "metrics"))) as url:
        user = {"username": ALICE[0], "password": ALICE[1]}
        assert ask(url, ADMIN, "api/2.0/mlflow/users/create", user)[0] == 200
        assert [ask(url, who, "metrics")[0] for who in (None, ALICE, ADMIN)] == [401, 403, 200]
