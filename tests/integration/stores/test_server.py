"""Runs through real servers to real stores, by the environments that the roles make, and deleted for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.filter.artifact_store import artifact_store
from tests.integration.moves.conftest import serving
from tests.integration.moves.test_gc import age
from tests.integration.releases import NEWEST, release
from tests.integration.stores.services import EMULATORS, PLANTED, Service
from tests.integration.stores.site import collect, configured, logged, rendered


@pytest.mark.parametrize("name", ["s3", "sftp", *(pytest.param(name, marks=pytest.mark.long) for name in EMULATORS)])
def test_runs_are_logged_read_and_deleted(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """One through the server, by a client without driver and credentials, and one by a client that goes there itself."""
    service: Service = request.getfixturevalue(name)
    made = rendered(tmp_path, service.store)
    server = {
        **made["server"],
        **service.environment,
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    }
    direct = artifact_store(service.store, "direct")["client"]
    itself = {**made["client"], **direct["variables"], **direct["secrets"], **service.environment}
    configured(service.store, tmp_path / "work")
    with serving(release(NEWEST, service.driver), tmp_path, server) as url:
        first = logged(url, tmp_path, made["client"], service.store)
        second = logged(url, tmp_path, itself, service.store, location=service.store["uri"])

        assert first["uri"].startswith("mlflow-artifacts:/")
        assert second["uri"].startswith(f"{service.store['uri']}/")
        for seen in (first, second):
            assert (seen["names"], seen["same"]) == (["deep/large.bin"], True)
        assert len(service.files()) == 4
        age(tmp_path / "mlflow.db", 2)
        assert "removed 2 of 2" in collect(url, {**server, "HOME": str(tmp_path / "work")}, service.driver)
        assert service.files() == []


def test_ftp_takes_files_and_keeps_them(ftp: Service, tmp_path: Path) -> None:
    """Its user and password are known to the server alone."""
    made = rendered(tmp_path, ftp.store)
    assert PLANTED not in str(made["client"])
    server = {
        **made["server"],
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    }
    with serving(release(NEWEST, ftp.driver), tmp_path, server) as url:
        seen = logged(url, tmp_path, made["client"], ftp.store)
        assert (seen["names"], seen["same"]) == (["deep/large.bin"], True)
        assert seen["uri"].startswith("mlflow-artifacts:/")
        assert len(ftp.files()) == 2
    assert PLANTED not in (tmp_path / "server.log").read_text(errors="replace")
