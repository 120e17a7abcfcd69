# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused of an artifact store, judged where its secrets are: on the controller.

Source: MLflow's mlflow/store/artifact/*_artifact_repo.py (3.17.2): what they make of an address; "Uploading an object
using multipart upload" (Amazon S3).
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_store
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
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store_kinds import (
    HOST,
    OF_KIND,
    WASBS,
    Case,
    Setting,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_ABFSS = re.compile(r"[^@]+@[^.@]+\.[^@]+")
_NETLOC = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_PATH = re.compile(r"(/[A-Za-z0-9._+@=:,-]+)+")
_LEAST_PART = 5 * 1024**2
#: A store's least size of a part but the last, where it has one.
_LEAST_PARTS = {S3: _LEAST_PART}
#: Characters on which a shell, systemd.exec(5)'s EnvironmentFile and environment.d(5) don't agree.
_AMBIGUOUS = re.compile(r"[\n\r\"'\\$`]")
#: Beginnings of addresses that look like a store's, and what to write instead.
_STRANGE = {
    "wasb": "write wasbs://: without the last letter nothing would be encrypted, and MLflow does not know it",
    "abfs": "write abfss://: without the last letter nothing would be encrypted, and MLflow does not know it",
    "http": "write s3://BUCKET/PATH, and the store's own address as endpoint_url",
    "https": "write s3://BUCKET/PATH, and the store's own address as endpoint_url",
    "r2": "write s3://BUCKET/PATH, with https://ACCOUNT.r2.cloudflarestorage.com as endpoint_url",
    "b2": "write s3://BUCKET/PATH, with the address that Backblaze shows of the bucket as endpoint_url",
    "s3a": "write s3://BUCKET/PATH: s3a is Hadoop's name for it",
    "s3n": "write s3://BUCKET/PATH: s3n is Hadoop's name for it",
    "gcs": "write gs://BUCKET/PATH",
    "ftps": "write sftp:// where the server speaks SSH; MLflow's FTP has no TLS",
    "ssh": "write sftp://HOST/PATH",
    "scp": "write sftp://HOST/PATH",
    "mlflow-artifacts": "write the address of the store itself: clients are told to go through the server by default",
}
_EXAMPLES = (
    "such as s3://BUCKET/PATH, wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH, gs://BUCKET/PATH, "
    "sftp://HOST/PATH, ftp://HOST/PATH or hdfs://HOST:PORT/PATH"
)


def is_loopback(host: str) -> bool:
    """Whether a name or address means the host itself, whoever says it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(case: Case) -> Iterator[Problem]:
    """Yield what is wrong with the address as a text; nothing else of the store is judged then."""
    uri, found = case.store.uri, f"{case.name}.uri is {case.store.uri!r}"
    if not uri:
        yield Problem(
            f"{case.name} has {', '.join(sorted(case.store.given))} and no uri",
            "nothing says which store that belongs to",
            f"write {case.name}.uri, {_EXAMPLES}",
        )
    elif uri.startswith("/") or uri.lower().startswith("file:"):
        yield Problem(
            found,
            "that is a directory, which needs neither a driver nor credentials",
            "write it as mlflow_artifact_root, and leave mlflow_artifact_store out",
        )
    elif "://" not in uri:
        yield Problem(
            found,
            "it has no scheme, so that MLflow would take it for a directory below the one it was started in",
            f"write the whole address, {_EXAMPLES}",
        )
    elif not case.store.kind:
        instead = _STRANGE.get(case.store.scheme, f"write one of {', '.join(artifact_store.SCHEMES)}, {_EXAMPLES}")
        yield Problem(found, f"there is no store {case.store.scheme}:// here", instead)
    elif not uri.startswith(f"{case.store.scheme}:"):
        yield Problem(found, "MLflow compares addresses as texts", f"write {case.store.scheme}:// in small letters")
    elif re.search(r"[\s\x00-\x1f\x7f\\\"'`$%]", uri):
        yield Problem(
            found,
            "MLflow stores it with each experiment, and its repositories read blanks, quotes and escapes differently",
            "use letters, digits and . _ + @ = : / - only",
        )


def _names(case: Case) -> Iterator[Problem]:
    """Yield what is wrong with who is addressed."""
    store = case.store
    netloc, found = store.address.netloc, f"{case.name}.uri is {store.uri!r}"
    if store.kind != AZURE and "@" in netloc:
        yield Problem(
            f"{case.name}.uri holds a user name or a password",
            "the address is shown with each experiment, in the browser and by the API",
            f"write the address without it, and {_credentials_of(store.kind, case.name)}",
        )
        return
    if store.scheme == "wasbs" and not WASBS.fullmatch(netloc):
        yield Problem(
            found,
            "MLflow takes Azure's blobs by one form of address only, for an emulator too",
            "write wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH; another endpoint goes into connection_string",
        )
    elif store.scheme == "abfss" and not _ABFSS.fullmatch(netloc):
        yield Problem(found, "it names no file system of an account", "write abfss://FILESYSTEM@ACCOUNT.DOMAIN/PATH")
    elif store.kind in (S3, GCS):
        yield from _bucket(case, netloc, found)
    elif store.kind in (SFTP, FTP) and not HOST.fullmatch(netloc):
        yield Problem(
            found,
            "it names no host, and MLflow would take localhost" if not netloc else "its host is none",
            f"write {store.scheme}://HOST/PATH or {store.scheme}://HOST:PORT/PATH",
        )
    elif store.kind == HDFS and netloc and not HOST.fullmatch(netloc):
        yield Problem(found, "its host is none", "write hdfs://HOST:PORT/PATH, or hdfs:///PATH for core-site.xml's")


def _bucket(case: Case, netloc: str, found: str) -> Iterator[Problem]:
    endpoint = urlsplit(case.store.endpoint_url).netloc
    if netloc and (":" in netloc or netloc == endpoint or netloc.endswith((".amazonaws.com", ".googleapis.com"))):
        yield Problem(
            found,
            "that is where the store answers; MLflow takes what follows :// for the bucket's name, and puts the "
            "endpoint before it once more",
            f"write {case.store.scheme}://BUCKET/PATH"
            + (f", and the address as {case.name}.endpoint_url" if case.store.kind == S3 else ""),
        )
    elif not _NETLOC.fullmatch(netloc):
        yield Problem(found, "it names no bucket", f"write {case.store.scheme}://BUCKET/PATH")


def _credentials_of(kind: str, name: str) -> str:
    return {
        S3: f"{name}.access_key and secret_key",
        GCS: f"{name}.credentials_file",
        SFTP: f"{name}.user and private_key",
        FTP: f"{name}.user and password",
        HDFS: f"{name}.user",
    }[kind]


def _path(case: Case) -> Iterator[Problem]:
    store, found = case.store, f"{case.name}.uri is {case.store.uri!r}"
    address = store.address
    path = address.path.rstrip("/")
    if address.query or address.fragment or "?" in store.uri or "#" in store.uri:
        yield Problem(found, "MLflow passes over what follows ? or #", "leave it out")
    elif (path and path != posixpath.normpath(path)) or path.startswith("//"):
        yield Problem(
            found,
            "the same place can be written shorter, and texts that differ count as different places",
            f"write {store.scheme}://{address.netloc}{posixpath.normpath('/' + path.strip('/'))}",
        )
    elif not path and store.kind in (SFTP, FTP, HDFS):
        yield Problem(
            found,
            "that is the server's whole tree, where MLflow would put a directory for each experiment",
            f"give the artifacts a directory of their own, such as {store.root}/mlflow",
        )


def _foreign(case: Case) -> Iterator[Problem]:
    """Yield the parts that belong to stores of another kind."""
    known = (*artifact_store.COMMON, *artifact_store.PARTS[case.store.kind])
    foreign = sorted(case.store.given - set(known))
    if foreign:
        yield Problem(
            f"{case.name} has {', '.join(foreign)}, and its uri is {case.store.uri}",
            f"{case.store.scheme}:// has no use for it",
            f"leave it out; a store of this kind has {', '.join(known)}",
        )


def _access(case: Case) -> Iterator[Problem]:
    store, setting = case.store, case.setting
    if store.access not in artifact_store.ACCESS:
        yield Problem(
            f"{case.name}.access is {store.access!r}",
            "either clients write to the store themselves, or the server does for them",
            "write proxied or direct",
        )
    elif setting.access and setting.access != store.access:
        yield Problem(
            f"{case.name}.access is {store.access}, and mlflow_artifact_access {setting.access}",
            "the artifacts are written by the server, or by the clients themselves",
            "leave one of them out",
        )
    if setting.mount_point:
        yield Problem(
            f"{case.name}.uri is {store.uri}, and a share is to be mounted at {setting.mount_point}",
            "artifacts are kept in one place",
            "leave mlflow_artifact_store or mlflow_nfs_share out",
        )
    secret = next((part for part in ("password",) if getattr(store, part)), "")
    if store.access == DIRECT and store.kind in (SFTP, FTP) and secret:
        yield Problem(
            f"{case.name} has a password, and access is direct",
            f"MLflow takes a password of {store.scheme}:// from the address only, which is shown with each experiment",
            "let access be proxied"
            + (", or have each user log in by a key of their own" if store.kind == SFTP else ", or use another store"),
        )
    host = urlsplit(store.endpoint_url).hostname or (store.address.hostname if store.kind in (SFTP, FTP, HDFS) else "")
    if host and is_loopback(host) and setting.clients and (store.access == DIRECT or store.multipart):
        yield Problem(
            f"{case.name} is at {host}, and {', '.join(sorted(setting.clients))} are to reach it themselves",
            "to each of them that is the host it runs on",
            "write the name by which all hosts know the store, or let access be proxied without multipart",
        )


def _without(store: Store, clients: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the clients that can't use the server's store directly, and what each of them lacks."""
    wanted = store.given & {*artifact_store.SECRETS, "credentials_file", "private_key", "kerberos_ticket_cache"}
    for host, given in clients.items():
        if given.get("uri", "").rstrip("/") != store.root:
            yield host, f"has {given.get('uri') or 'no store'}"
        elif given.get("access", store.access) != store.access:
            yield host, f"has access {given['access']}"
        elif not wanted <= set(given):
            yield host, f"lacks {', '.join(sorted(wanted - set(given)))}"


def _clients(case: Case) -> Iterator[Problem]:
    if case.store.access != DIRECT:
        return
    lacking = dict(_without(case.store, case.setting.clients))
    if lacking:
        yield Problem(
            f"{case.name}.access is direct, and of the clients "
            + ", ".join(f"{host} {what}" for host, what in sorted(lacking.items())),
            "with direct access each client writes to the store itself, with a driver and credentials of its own",
            "set mlflow_artifact_store for all hosts rather than for the server, or let access be proxied",
        )


def _multipart(case: Case) -> Iterator[Problem]:
    store, sizes = case.store, ("multipart_minimum_size", "multipart_chunk_size")
    if store.multipart and (store.kind not in artifact_store.MULTIPART or store.access == DIRECT):
        yield Problem(
            f"{case.name}.multipart is true, with {store.access} access to {store.scheme}://",
            "it lets clients of a server send parts of large files past it, to S3, Azure or Google",
            "leave it out; with direct access the store's own driver sends parts by itself",
        )
        return
    for name in sizes:
        size = getattr(store, name)
        if size and not store.multipart:
            yield Problem(
                f"{case.name}.{name} is {size}, without multipart",
                "nothing would follow from it",
                "set multipart: true",
            )
        elif size < 0:
            yield Problem(f"{case.name}.{name} is {size}", "it is a number of bytes", "write 1 or more")
    least = _LEAST_PARTS.get(store.kind, 1)
    if store.multipart and 0 < store.multipart_chunk_size < least:
        yield Problem(
            f"{case.name}.multipart_chunk_size is {store.multipart_chunk_size}",
            "S3 refuses smaller parts than 5 MiB, the last one apart",
            f"write {least} or more; 10 MiB for uploads and 100 MiB for downloads are MLflow's own",
        )


def _timeout(case: Case) -> Iterator[Problem]:
    store, found = case.store, f"{case.name}.timeout is {case.store.timeout}"
    if not store.timeout:
        return
    if store.kind not in artifact_store.TIMED:
        yield Problem(found, f"MLflow gives no deadline to {store.scheme}://", "leave it out")
    elif store.timeout < 0 and not (store.kind == GCS and store.timeout == -1):
        yield Problem(
            found,
            "it is the number of seconds that an upload or a download may take",
            "write 1 or more" + (", or -1 for no limit" if store.kind == GCS else ""),
        )


def _files(case: Case) -> Iterator[Problem]:
    for name in ("ca_bundle", "credentials_file", "private_key", "kerberos_ticket_cache"):
        path = getattr(case.store, name)
        if path and not _PATH.fullmatch(path):
            yield Problem(
                f"{case.name}.{name} is {path!r}",
                "it must be the absolute path of a file on the host that uses the store",
                "write it from the root on, with letters, digits and . _ + @ = : , - only",
            )


def _secrets(case: Case) -> Iterator[Problem]:
    for name in artifact_store.SECRETS:
        value = getattr(case.store, name)
        if value != value.strip() or re.search(r"[\x00-\x1f\x7f]", value):
            yield Problem(
                f"{case.name}.{name} begins or ends with a blank, or has a line's end in it",
                "it would be part of the secret, and an environment file has one line for each",
                "strip it, as in {{ lookup('ansible.builtin.file', 'secret') | trim }}",
            )
        elif case.setting.in_shells and case.store.access == DIRECT and _AMBIGUOUS.search(value):
            yield Problem(
                f"{case.name}.{name} has a quote, a backslash, a dollar sign or a backquote",
                "shells and systemd read these differently from an environment file",
                "have the store make another one",
            )


def _environment(case: Case) -> Iterator[Problem]:
    setting = case.setting
    ours = {**artifact_store.VARIABLES[case.store.kind], **artifact_store.CLIENT_VARIABLES}
    for name in setting.environment_names:
        if name in ours:
            yield Problem(
                f"{setting.environment} has {name}, and {case.name}.uri is {case.store.uri}",
                "two places would contradict each other",
                f"write it as {case.name}.{ours[name]}",
            )


_OF_ALL = (_path, _foreign, _access, _clients, _multipart, _timeout, _files, _secrets, _environment)


def problems(given: Mapping[str, Any], setting: Setting) -> list[Problem]:
    """Return everything that is wrong with a store, as a user has written it; nothing for none."""
    if not given:
        return []
    if setting.access and isinstance(given, Mapping):
        given = {"access": setting.access, **given}
    try:
        case = Case(artifact_store.parse(given), setting)
    except ValueError as error:
        return [
            Problem(
                f"{setting.name}: {error}", "it would say nothing to MLflow", "write the parts that the README lists"
            )
        ]
    try:
        wrong = [*_address(case)]
        wrong = wrong or [*_names(case)]
    except ValueError:
        wrong = [Problem(f"{setting.name}.uri is {given.get('uri')!r}", "that is no address", f"write one {_EXAMPLES}")]
    rules = () if wrong else (*_OF_ALL, OF_KIND[case.store.kind])
    return [*wrong, *(problem for rule in rules for problem in rule(case))]
