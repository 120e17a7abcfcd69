"""Artifacts on real servers of SFTP and FTP, and on emulators of Azure's blobs and of Google's storage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.releases import NEWEST, release
from tests.integration.stores.services import ACCOUNT, EMULATORS, Service, run
from tests.integration.stores.site import asked

# What differs, what the store says, and why that is.
REFUSED: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "azure": [
        (
            {"uri": "wasbs://nowhere@devstoreaccount1.blob.core.windows.net/mlflow"},
            "ContainerNotFound",
            "no such bucket",
        ),
        ({"connection_string": "AccountKey=d3Jvbmc="}, "AuthorizationFailure", "does not take these credentials"),
    ],
    "gcs": [({"uri": "gs://nowhere/mlflow"}, "nowhere", "")],
    "sftp": [
        ({"private_key": "other_rsa"}, "Authentication failed", "does not take these credentials"),
        ({"known_hosts": ["other.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA=="]}, "ostkey", "known_hosts"),
        ({"uri": "/nonexistent/mlflow"}, "can't write to it", "does not allow this"),
    ],
    "ftp": [
        ({"password": "wr0ng-secret"}, "530", "does not take these credentials"),
        ({"uri": "ftp://localhost:1/mlflow"}, "can't connect", "nothing answers"),
    ],
}


def changed(service: Service, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the store with other parts, written as short as the table has them."""
    store = service.but(**parts)
    if "connection_string" in parts:
        given = dict(one.partition("=")[::2] for one in service.store["connection_string"].strip(";").split(";"))
        name, _sign, value = parts["connection_string"].partition("=")
        store["connection_string"] = ";".join(f"{key}={word}" for key, word in {**given, name: value}.items())
    if "private_key" in parts:
        store["private_key"] = service.store["private_key"].replace("id_rsa", parts["private_key"])
    if store["uri"].startswith("/"):
        store["uri"] = service.store["uri"].replace(str(service.directory), store["uri"])
    return store


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in EMULATORS else []) for name in REFUSED]
)
def test_used_and_refused_in_the_store_s_words(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    service: Service = request.getfixturevalue(name)
    stores = [service.store, *(changed(service, parts) for parts, *_said in REFUSED[name])]
    told = asked(stores, tmp_path, service.environment)
    assert told[0] is None
    wrong = [
        (parts, problem)
        for problem, (parts, found, why) in zip(told[1:], REFUSED[name], strict=True)
        if not (problem and found in problem.found and why in problem.why)
    ]
    assert wrong == []
    assert service.files() == []


#: A token for all, which was good until yesterday.
SIGN = """
import datetime, sys
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas
given = dict(part.split("=", 1) for part in sys.argv[1].strip(";").split(";"))
now = datetime.datetime.now(datetime.timezone.utc)
print(generate_account_sas(
    given["AccountName"], given["AccountKey"], ResourceTypes(service=True, container=True, object=True),
    AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
    start=now - datetime.timedelta(days=9), expiry=now + datetime.timedelta(days=int(sys.argv[2]))))
"""


@pytest.mark.long
def test_a_token_that_has_expired_is_told(azure: Service, tmp_path: Path) -> None:
    given = azure.store["connection_string"]
    address = next(part for part in given.split(";") if part.startswith("BlobEndpoint="))
    python = release(NEWEST, azure.driver).python
    stores = [
        azure.but(
            connection_string=f"{address};AccountName={ACCOUNT};SharedAccessSignature="
            + run(python, "-I", "-c", SIGN, given, days).strip()
        )
        for days in ("1", "-1")
    ]
    good, over = asked(stores, tmp_path)
    assert good is None
    assert over is not None
    assert re.fullmatch(r"the token was good until .* UTC, which is over", over.why)
