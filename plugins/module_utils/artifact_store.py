# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of artifacts that is no directory, and the variables by which MLflow and its drivers know it.

Source: MLflow's mlflow/store/artifact/*_artifact_repo.py and mlflow/environment_variables.py (3.17.2); botocore's
"Configuration" (AWS_*); google.auth's default(); pysftp's Connection (0.2.9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Optional
from urllib.parse import SplitResult, urlsplit

S3, AZURE, GCS, SFTP, FTP, HDFS = KINDS = ("s3", "azure", "gcs", "sftp", "ftp", "hdfs")
SCHEMES = {
    "s3": S3,
    "wasbs": AZURE,
    "abfss": AZURE,
    "gs": GCS,
    "sftp": SFTP,
    "ftp": FTP,
    "hdfs": HDFS,
    "viewfs": HDFS,
}
PROXIED, DIRECT = ACCESS = ("proxied", "direct")
#: Those whose clients can be given addresses of the store by the server, to go past it.
MULTIPART = (S3, AZURE, GCS)
#: Those whose driver MLflow gives a deadline.
TIMED = (AZURE, GCS)
#: What a server is built with besides MLflow; of the others the driver is among MLflow's own packages.
SERVER_DRIVERS = (S3, AZURE, GCS, SFTP)
#: MLflow's small package has no pyarrow.
CLIENT_DRIVERS = (*SERVER_DRIVERS, HDFS)
#: The package whose pin among others says that the driver comes with them.
PACKAGES = {S3: "boto3", AZURE: "azure-storage-blob", GCS: "google-cloud-storage", SFTP: "pysftp", HDFS: "pyarrow"}


@dataclass(frozen=True)
class Store:
    """What a user writes of a store; '', 0 and the like stand for what its driver does by itself.

    Sizes are in bytes, ``timeout`` is in seconds.  ``private_key``, ``ca_bundle``, ``credentials_file`` and
    ``kerberos_ticket_cache`` are files of the host that uses the store; ``known_hosts`` are lines.
    """

    uri: str = ""
    access: str = PROXIED
    multipart: bool = False
    multipart_minimum_size: int = 0
    multipart_chunk_size: int = 0
    timeout: int = 0
    endpoint_url: str = ""
    region: str = ""
    addressing_style: str = ""
    bucket_owner: str = ""
    ca_bundle: str = ""
    ignore_tls: bool = False
    upload_extra_args: Mapping[str, Any] = field(default_factory=dict)
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    connection_string: str = ""
    account_key: str = ""
    sas_token: str = ""
    credentials_file: str = ""
    upload_chunk_size: int = 0
    download_chunk_size: int = 0
    user: str = ""
    password: str = ""
    allow_password: bool = False
    private_key: str = ""
    known_hosts: tuple[str, ...] = ()
    kerberos_ticket_cache: str = ""
    extra_conf: Mapping[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> SplitResult:
        """The address by its parts.  Raises ValueError when it can't be one."""
        return urlsplit(self.uri)

    @property
    def scheme(self) -> str:
        """What its address begins with, in small letters."""
        return self.uri.partition("://")[0].lower() if "://" in self.uri else ""

    @property
    def kind(self) -> str:
        """Which of KINDS it is, '' for none."""
        return SCHEMES.get(self.scheme, "")

    @property
    def given(self) -> frozenset[str]:
        """The names of the parts that say something."""
        default = Store()
        return frozenset(one.name for one in fields(self) if getattr(self, one.name) != getattr(default, one.name))

    @property
    def root(self) -> str:
        """The address that MLflow stores with experiments, without a slash at its end."""
        return self.uri.rstrip("/")

    @property
    def destination(self) -> str:
        """The address that a server writes to; MLflow takes some stores' user and password from there only."""
        host = self.address.netloc
        if self.kind == FTP and self.user:
            who = self.user + (f":{_escaped(self.password)}" if self.password else "")
        elif self.kind == SFTP and self.password:
            # Not unescaped by MLflow.
            who = f"{self.user}:{self.password}" if self.user else f":{self.password}"
        else:
            return self.root
        return self.root.replace(f"//{host}", f"//{who}@{host}", 1)


#: The parts that each kind of store has besides those of all.
PARTS: Mapping[str, tuple[str, ...]] = {
    S3: (
        *("endpoint_url", "region", "addressing_style", "bucket_owner", "ca_bundle", "ignore_tls"),
        *("upload_extra_args", "access_key", "secret_key", "session_token"),
    ),
    AZURE: ("connection_string", "account_key", "sas_token"),
    GCS: ("credentials_file", "upload_chunk_size", "download_chunk_size"),
    SFTP: ("user", "password", "allow_password", "private_key", "known_hosts"),
    FTP: ("user", "password"),
    HDFS: ("user", "kerberos_ticket_cache", "extra_conf"),
}
COMMON = ("uri", "access", "multipart", "multipart_minimum_size", "multipart_chunk_size", "timeout")
SECRETS = ("access_key", "secret_key", "session_token", "connection_string", "account_key", "sas_token", "password")
#: Each kind's variables by the part that sets them; the last are read by a driver and have no part.
VARIABLES: Mapping[str, Mapping[str, str]] = {
    S3: {
        "MLFLOW_S3_ENDPOINT_URL": "endpoint_url",
        "AWS_DEFAULT_REGION": "region",
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "addressing_style",
        "MLFLOW_S3_EXPECTED_BUCKET_OWNER": "bucket_owner",
        "AWS_CA_BUNDLE": "ca_bundle",
        "MLFLOW_S3_IGNORE_TLS": "ignore_tls",
        "MLFLOW_S3_UPLOAD_EXTRA_ARGS": "upload_extra_args",
        "AWS_ACCESS_KEY_ID": "access_key",
        "AWS_SECRET_ACCESS_KEY": "secret_key",
        "AWS_SESSION_TOKEN": "session_token",
    },
    AZURE: {
        "AZURE_STORAGE_CONNECTION_STRING": "connection_string",
        "AZURE_STORAGE_ACCESS_KEY": "account_key",
        "AZURE_STORAGE_SAS_TOKEN": "sas_token",
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "timeout",
    },
    GCS: {
        "GOOGLE_APPLICATION_CREDENTIALS": "credentials_file",
        "MLFLOW_GCS_UPLOAD_CHUNK_SIZE": "upload_chunk_size",
        "MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE": "download_chunk_size",
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "timeout",
    },
    SFTP: {},
    FTP: {},
    HDFS: {
        "MLFLOW_KERBEROS_USER": "user",
        "MLFLOW_KERBEROS_TICKET_CACHE": "kerberos_ticket_cache",
        "MLFLOW_PYARROW_EXTRA_CONF": "extra_conf",
    },
}
#: What decides whether clients of a server go past it, by the part.
CLIENT_VARIABLES = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "multipart",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "multipart",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "multipart_minimum_size",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "multipart_chunk_size",
    "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "multipart_chunk_size",
}
_TYPES = {one.name: one.type for one in fields(Store)}
_PORTS = {SFTP: 22, FTP: 21, "http": 80, "https": 443}
_PLAIN: Mapping[str, type] = {"str": str, "bool": bool, "int": int}
_WANTED = {"str": "a text in quotes", "bool": "true or false", "int": "a number"}


def _escaped(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else _percent(char) for char in text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def _fits(value: Any, wanted: str) -> bool:
    if wanted in _PLAIN:
        # True is an int to Python.
        return isinstance(value, _PLAIN[wanted]) and isinstance(value, bool) == (wanted == "bool")
    if wanted.startswith("tuple"):
        return isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    return isinstance(value, Mapping)


def parse(given: Mapping[str, Any]) -> Store:
    """Return the store in a dictionary of a user's; parts that are null or omitted are not there.

    Raises ValueError for a part of a wrong name or type; the message never has a value.
    """
    if not isinstance(given, Mapping):
        raise ValueError("it is not a dictionary")
    there = {str(name): value for name, value in given.items() if value is not None}
    unknown = sorted(set(there) - set(_TYPES))
    if unknown:
        raise ValueError(f"it has {', '.join(unknown)}, which is no part of a store")
    for name, value in there.items():
        wanted = str(_TYPES[name])
        if not _fits(value, wanted):
            listed = "a list of lines" if wanted.startswith("tuple") else "a dictionary"
            raise ValueError(f"its {name} is not {_WANTED.get(wanted, listed)}")
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in there.items()}
    return Store(**values)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true"
    if isinstance(value, Mapping):
        return json.dumps(dict(value), sort_keys=True)
    return str(value)


def environment(store: Store) -> dict[str, str]:
    """Return what whoever writes to the store itself, a server or a client with direct access, is told of it."""
    there = store.given
    told = {name: _text(getattr(store, part)) for name, part in VARIABLES.get(store.kind, {}).items() if part in there}
    if "MLFLOW_PYARROW_EXTRA_CONF" in told:
        # MLflow parts it at each comma.
        told["MLFLOW_PYARROW_EXTRA_CONF"] = ",".join(f"{name}={store.extra_conf[name]}" for name in store.extra_conf)
    return told


def client_environment(store: Store) -> dict[str, str]:
    """Return what a client of the store's server is told.

    Of a store that it does not reach itself: whether to go past the server, which since 3.17 it would do by itself.
    """
    if store.access == DIRECT:
        return environment(store)
    if store.kind not in MULTIPART:
        return {}
    told = {
        name: "true" if store.multipart else "false" for name, part in CLIENT_VARIABLES.items() if part == "multipart"
    }
    sizes = {name: getattr(store, part) for name, part in CLIENT_VARIABLES.items() if part != "multipart"}
    told.update({name: str(size) for name, size in sizes.items() if size})
    if store.multipart and store.ignore_tls:
        told["MLFLOW_S3_IGNORE_TLS"] = "true"
    return told


def is_secret(variable: str) -> bool:
    """Whether a variable holds what nobody else may see."""
    return any(part in SECRETS for parts in VARIABLES.values() for name, part in parts.items() if name == variable)


def files(store: Store) -> dict[str, str]:
    """Return the files of the host that the store needs, by the part that names each."""
    named = ("ca_bundle", "credentials_file", "private_key")
    return {name: getattr(store, name) for name in named if getattr(store, name)}


def secrets(store: Store) -> list[str]:
    """Return the values that must not be shown."""
    return [value for value in (getattr(store, name) for name in SECRETS) if value]


def ssh_config(store: Store) -> str:
    """Return what ~/.ssh/config must say for MLflow to log in by key; '' where it need not say anything."""
    if store.kind != SFTP:
        return ""
    lines = [("User", store.user if not store.password else ""), ("IdentityFile", store.private_key)]
    said = "".join(f"    {word} {value}\n" for word, value in lines if value)
    return f"Host {store.address.hostname}\n{said}" if said else ""


def driver(store: Store, library: bool = False) -> str:
    """Return the end of the name of the lock that has the store's driver, '' when no driver is wanted.

    ``library`` says that it is MLflow's client library that is locked, which needs one for direct access only.
    """
    if library and store.access != DIRECT:
        return ""
    return store.kind if store.kind in (CLIENT_DRIVERS if library else SERVER_DRIVERS) else ""


def endpoint(store: Store) -> Optional[tuple[str, int]]:
    """Return host and port that the store answers at, None where only its driver knows."""
    address = store.address
    if store.kind in (SFTP, FTP):
        return (address.hostname or "", address.port or _PORTS[store.kind]) if address.hostname else None
    url = store.endpoint_url
    if store.kind == AZURE:
        said = dict(one.partition("=")[::2] for one in store.connection_string.split(";"))
        url = said.get(
            "BlobEndpoint", "" if store.connection_string else f"https://{address.netloc.rpartition('@')[2]}"
        )
    parts = urlsplit(url)
    return (parts.hostname, parts.port or _PORTS[parts.scheme]) if parts.hostname and parts.scheme in _PORTS else None
