# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artifact URI means to MLflow, told from its text alone.

Source: MLflow 3.17.2, ``mlflow.utils.file_utils.local_file_uri_to_path``,
``mlflow.utils.uri.is_local_uri`` and ``mlflow.store.artifact.artifact_repository_registry``.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

#: A directory on whatever host opens it.
LOCAL = "local"
#: Reached through the tracking server.
PROXIED = "proxied"
#: An object store or another server, the same for all hosts.
REMOTE = "remote"
#: No host, or not every host, can use it.
UNUSABLE = "unusable"

#: Schemes for which MLflow itself has a store.
KNOWN_SCHEMES = frozenset(
    ("s3", "r2", "b2", "gs", "wasbs", "abfss", "dbfs", "ftp", "sftp", "hdfs", "viewfs", "http", "https"),
)

#: Schemes whose part before the @ is the name of a container.
_CONTAINERS = frozenset(("wasbs", "abfss"))
_SHOWN = 300
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):(?P<rest>.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:([\\/]|$)")


@dataclass(frozen=True)
class ArtifactUri:
    """An artifact URI and its meaning.

    ``kind`` is LOCAL, PROXIED, REMOTE or UNUSABLE.  ``path`` is the directory of a local one:
    absolute, percent-encoding undone, ``//``, ``.`` and ``..`` taken out as text, without a final
    slash; else ''.  ``why`` says why it is unusable, as a sentence's part; else ''.
    ``indirect`` tells that the text has ``..``, which a symbolic link leads elsewhere than ``path`` says.
    """

    given: str
    kind: str
    scheme: str = ""
    path: str = ""
    why: str = ""
    indirect: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a path that can't be written shorter, so that comparing it as text is enough."""
        return self.kind == LOCAL and self.given == self.path

    @property
    def known(self) -> bool:
        """Whether MLflow has a store for its scheme without a plug-in."""
        return self.kind in (LOCAL, PROXIED) or self.scheme in KNOWN_SCHEMES

    @property
    def shown(self) -> str:
        """The URI for a message: without credentials, in one line, of at most 300 characters."""
        text = self.given
        if self.kind != LOCAL and "://" in text:
            scheme, _separator, rest = text.partition("://")
            authority, slash, path = rest.partition("/")
            # A query may be a signature that lets its reader in.
            host = authority.partition("?")[0]
            if scheme.lower() not in _CONTAINERS:
                host = host.rpartition("@")[2]
            text = f"{scheme}://{host}{slash}{path.partition('?')[0]}"
        text = _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _unusable(given: str, why: str, scheme: str = "") -> ArtifactUri:
    return ArtifactUri(given, UNUSABLE, scheme=scheme, why=why)


def _local(given: str, path: str, scheme: str) -> ArtifactUri:
    if not path.startswith("/"):
        why = "it is relative, so each program that opens it means a directory below wherever it was started"
        return _unusable(given, why, scheme)
    decoded = unquote(path)
    if _CONTROL.search(decoded):
        return _unusable(given, "it has a control character in it, such as a line break", scheme)
    # POSIX lets normpath() keep two leading slashes; Linux, macOS and FreeBSD mean one.
    normal = posixpath.normpath("/" + decoded.lstrip("/"))
    if normal == "/":
        return _unusable(given, "it is the root directory, in which no user may write", scheme)
    return ArtifactUri(given, LOCAL, scheme, normal, indirect=".." in decoded.split("/"))


def _file(given: str, rest: str) -> ArtifactUri:
    # urlsplit() drops line breaks and takes off query and fragment, as MLflow does.
    parts = urlsplit(f"file:{rest}")
    host = parts.netloc.rpartition("@")[2].partition(":")[0]
    if host and host != "." and not host.lower().startswith(("localhost", "127.0.0.1")):
        why = f"MLflow does not fetch files from the host {host!r}: the server answers with an error, clients write locally"
        return _unusable(given, why, "file")
    return _local(given, parts.path, "file")


def _misread(given: str) -> str:
    """Return why a text is read otherwise than its writer meant, or ''."""
    if not given.strip():
        return "it is empty"
    if _CONTROL.search(given):
        return "it has a control character in it, such as a line break"
    if given.startswith("~"):
        return "MLflow does not expand '~': it makes a directory of that name wherever it was started"
    if _DRIVE.match(given) or given.startswith("\\\\"):
        return "it is a path of Windows, and elsewhere a relative name with odd characters"
    return ""


def _with_scheme(given: str, scheme: str, rest: str) -> ArtifactUri:
    if scheme == "file":
        return _file(given, rest)
    if scheme.lower() == "file":
        return _unusable(given, f"MLflow knows 'file:' in small letters only and takes {scheme!r} for a name", "file")
    scheme = scheme.lower()
    if scheme in ("runs", "models"):
        return _unusable(given, f"'{scheme}:' names something that is stored elsewhere, not a place to store", scheme)
    return ArtifactUri(given, PROXIED if scheme == "mlflow-artifacts" else REMOTE, scheme)


def parse(given: str) -> ArtifactUri:
    """Return what an artifact URI means on Linux, macOS and FreeBSD; nothing is looked up."""
    why = _misread(given)
    if why:
        return _unusable(given, why)
    match = _SCHEME.fullmatch(given)
    return _with_scheme(given, match["scheme"], match["rest"]) if match else _local(given, given, "")
