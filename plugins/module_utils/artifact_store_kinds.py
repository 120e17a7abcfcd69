# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of each kind of artifact store.

Source: MLflow's mlflow/store/artifact/*_artifact_repo.py (3.17.2): what they make of the environment; boto3's
S3Transfer.ALLOWED_UPLOAD_ARGS; google-cloud-storage's Blob.chunk_size; pysftp's Connection and CnOpts (0.2.9).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store import (
    AZURE,
    DIRECT,
    FTP,
    GCS,
    HDFS,
    S3,
    SFTP,
    Store,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

WASBS = re.compile(r"[^@]+@(?P<account>[^.@]+)\.blob\.core\.(windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)")
HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
#: What stands in an address as it is, for MLflow does not unescape it.
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
_KIB_256 = 256 * 1024
_UPLOAD_ARGS = frozenset(
    (
        *("ACL", "CacheControl", "ChecksumAlgorithm", "ContentDisposition", "ContentEncoding", "ContentLanguage"),
        *("ContentType", "ExpectedBucketOwner", "Expires", "GrantFullControl", "GrantRead", "GrantReadACP"),
        *("GrantWriteACP", "Metadata", "ObjectLockLegalHoldStatus", "ObjectLockMode", "ObjectLockRetainUntilDate"),
        *("RequestPayer", "ServerSideEncryption", "StorageClass", "SSECustomerAlgorithm", "SSECustomerKey"),
        *("SSECustomerKeyMD5", "SSEKMSKeyId", "SSEKMSEncryptionContext", "Tagging", "WebsiteRedirectLocation"),
    )
)
#: What a line of known_hosts has at least: names, a kind of key, the key.
_FIELDS = 3


@dataclass(frozen=True)
class Setting:
    """The inputs around a store.

    ``name`` is the input that holds the store, ``environment`` the one with further variables, of which
    ``environment_names`` are there.  ``access`` says who writes, by the input of that name, ``mount_point`` is where
    a share is declared; '' where the role has no such input.  ``clients`` are the stores of the hosts that use the
    server, by host.
    """

    name: str = "mlflow_server_artifact_store"
    environment: str = "mlflow_server_environment"
    environment_names: tuple[str, ...] = ()
    access: str = ""
    mount_point: str = ""
    clients: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    in_shells: bool = False


@dataclass(frozen=True)
class Case:
    """A store among the inputs around it."""

    store: Store
    setting: Setting

    @property
    def name(self) -> str:
        """The input that holds the store."""
        return self.setting.name


def _s3(case: Case) -> Iterator[Problem]:
    store, name = case.store, case.name
    yield from _endpoint(case)
    if store.ignore_tls and store.ca_bundle:
        yield Problem(
            f"{name} has both ignore_tls and ca_bundle",
            "the one says not to look at the certificate, the other what it is to be proved by; MLflow would not look",
            "leave ignore_tls out",
        )
    if bool(store.access_key) != bool(store.secret_key) or (store.session_token and not store.access_key):
        yield Problem(
            f"{name} has {', '.join(sorted(store.given & {'access_key', 'secret_key', 'session_token'}))} alone",
            "a key is the pair of access_key and secret_key, and a session's token belongs to such a pair",
            "write both, or none of them for what boto3 finds by itself (a role of the machine, ~/.aws)",
        )
    if store.addressing_style not in ("", "auto", "path", "virtual"):
        yield Problem(
            f"{name}.addressing_style is {store.addressing_style!r}",
            "it says whether the bucket's name is in the path or in the host's name",
            "write path, virtual or auto",
        )
    if store.bucket_owner and not re.fullmatch(r"[0-9]{12}", store.bucket_owner):
        yield Problem(f"{name}.bucket_owner is {store.bucket_owner!r}", "an account of AWS has 12 digits", "write them")
    odd = sorted(str(one) for one in set(store.upload_extra_args) - _UPLOAD_ARGS)
    if odd:
        yield Problem(
            f"{name}.upload_extra_args has {', '.join(odd)}",
            "boto3 refuses an upload with an argument that it does not know",
            "write boto3's names, such as ServerSideEncryption: aws:kms and SSEKMSKeyId",
        )


def _endpoint(case: Case) -> Iterator[Problem]:
    store, found = case.store, f"{case.name}.endpoint_url is {case.store.endpoint_url!r}"
    if not store.endpoint_url:
        return
    endpoint, bucket = urlsplit(store.endpoint_url), store.address.netloc
    if "@" in endpoint.netloc:
        yield Problem(
            f"{case.name}.endpoint_url holds a user name or a password",
            "an S3 store is asked with a key",
            "write access_key and secret_key",
        )
    elif endpoint.scheme not in ("http", "https") or not HOST.fullmatch(endpoint.netloc):
        yield Problem(found, "it is no address that HTTP can be spoken to", "write it like https://s3.example.org:9000")
    elif endpoint.path.strip("/") or endpoint.query or endpoint.fragment:
        yield Problem(
            found,
            "boto3 puts bucket and path behind it, so that they would stand there twice",
            f"write {endpoint.scheme}://{endpoint.netloc}, and all that follows as part of {case.name}.uri",
        )
    elif (endpoint.hostname or "").startswith(f"{bucket}."):
        yield Problem(
            found,
            f"the bucket {bucket} is in it, and boto3 would name it once more",
            f"write {endpoint.scheme}://{endpoint.netloc.partition('.')[2]}"
            + ("" if store.addressing_style else ", with addressing_style: virtual where the store wants that"),
        )
    elif endpoint.scheme == "http" and (store.ignore_tls or store.ca_bundle):
        part = "ca_bundle" if store.ca_bundle else "ignore_tls"
        yield Problem(
            f"{found}, with {part}", "there is no certificate without https", f"write https://, or leave {part} out"
        )


def _azure(case: Case) -> Iterator[Problem]:
    store, name = case.store, case.name
    keys = sorted(store.given & {"connection_string", "account_key", "sas_token"})
    unread = set(keys) & ({"connection_string", "account_key"} if store.scheme == "abfss" else {"sas_token"})
    if unread:
        yield Problem(
            f"{name} has {', '.join(sorted(unread))}, and its uri is {store.scheme}://",
            "MLflow does not read it for this kind of address",
            "write sas_token, or nothing for the machine's own identity"
            if store.scheme == "abfss"
            else "write connection_string or account_key, or nothing for the machine's own identity",
        )
    elif len(keys) > 1:
        yield Problem(
            f"{name} has {' and '.join(keys)}",
            "MLflow would take connection_string and pass over the other",
            "leave one out",
        )
    if store.connection_string:
        yield from _connection_string(case)
    if store.account_key and not _is_base64(store.account_key):
        yield Problem(f"{name}.account_key is not in Base64", "an account's key is", "copy it from the account's page")


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _connection_string(case: Case) -> Iterator[Problem]:
    found = f"{case.name}.connection_string"
    pairs = [one.partition("=") for one in case.store.connection_string.strip(";").split(";")]
    said = {name.lower(): value for name, _sign, value in pairs}
    match = WASBS.fullmatch(case.store.address.netloc)
    account = match["account"] if match else ""
    if not (said.get("accountkey") or said.get("sharedaccesssignature")):
        yield Problem(
            f"{found} has neither AccountKey nor SharedAccessSignature",
            "nobody could log in by it",
            "copy the whole connection string from the account's page",
        )
    elif said.get("accountname", account) != account:
        yield Problem(
            f"{found} is of the account {said['accountname']}, and {case.name}.uri of {account}",
            "MLflow connects to the former, and stores the latter with each experiment",
            "write the same account in both",
        )


def _gcs(case: Case) -> Iterator[Problem]:
    for name in ("upload_chunk_size", "download_chunk_size"):
        size = getattr(case.store, name)
        if size % _KIB_256 or size < 0:
            nearest = max(round(size / _KIB_256), 1) * _KIB_256
            yield Problem(
                f"{case.name}.{name} is {size}",
                "Google's driver takes multiples of 262144 bytes (256 KiB) only, and raises an error at the first file",
                f"write {nearest}",
            )


def _sftp(case: Case) -> Iterator[Problem]:
    store, name = case.store, case.name
    if store.access == DIRECT and case.setting.in_shells:
        return
    if store.password and not store.allow_password:
        yield Problem(
            f"{name} has a password",
            "a key can do less harm in wrong hands, and MLflow keeps the password in the address it writes to",
            f"write {name}.private_key, or insist by allow_password: true",
        )
    elif store.allow_password and not store.password:
        yield Problem(f"{name} has allow_password without a password", "nothing would follow from it", "leave it out")
    if store.password and store.private_key:
        yield Problem(
            f"{name} has both password and private_key", "the driver would pass over the key", "leave one out"
        )
    elif not store.password and not store.private_key:
        yield Problem(
            f"{name} has neither private_key nor password",
            "nobody could log in",
            f"write {name}.private_key, the file of an RSA key that {store.address.hostname} lets in",
        )
    if store.password and not _PLAIN.fullmatch(store.password):
        yield Problem(
            f"{name}.password has characters that an address must escape",
            "MLflow does not unescape them, and would log in with another password",
            "use letters, digits and . _ ~ - only, or better a key",
        )
    if not store.user or not _PLAIN.fullmatch(store.user):
        yield Problem(
            f"{name}.user is {store.user!r}",
            "it is whom the driver logs in as",
            "write the account's name on the SFTP server, of letters, digits and . _ ~ -",
        )
    yield from _known_hosts(case)


def _known_hosts(case: Case) -> Iterator[Problem]:
    host, found = case.store.address.hostname or "", f"{case.name}.known_hosts"
    named = [line.split()[0].split(",") for line in case.store.known_hosts if len(line.split()) >= _FIELDS]
    if any(host in names or names[0].startswith("|") for names in named):
        return
    with_port = any(name.startswith(f"[{host}]:") for names in named for name in names)
    yield Problem(
        f"{found} names [{host}] with its port only" if with_port else f"{found} has no key of {host}",
        "the driver looks the host up by its name without a port, and refuses one that it does not find",
        f"write what `ssh-keyscan {host}` says and you have compared, as '{host} ssh-ed25519 AAAA…'",
    )


def _ftp(case: Case) -> Iterator[Problem]:
    store, name = case.store, case.name
    if store.password and not store.user:
        yield Problem(f"{name} has a password and no user", "the driver would log in as anonymous", "write user, too")
    if store.user and not _PLAIN.fullmatch(store.user):
        yield Problem(
            f"{name}.user is {store.user!r}",
            "MLflow takes it from an address, and does not unescape it",
            "use an account of letters, digits and . _ ~ - only",
        )


def _hdfs(case: Case) -> Iterator[Problem]:
    odd = sorted(
        str(name)
        for name, value in case.store.extra_conf.items()
        if "," in f"{name}{value}" or "=" in str(name) or not str(name)
    )
    if odd:
        yield Problem(
            f"{case.name}.extra_conf has a comma or an equals sign in {', '.join(odd)}",
            "MLflow parts the settings at commas, and names from values at the first equals sign",
            "put such a setting into Hadoop's core-site.xml or hdfs-site.xml",
        )


OF_KIND = {S3: _s3, AZURE: _azure, GCS: _gcs, SFTP: _sftp, FTP: _ftp, HDFS: _hdfs}
