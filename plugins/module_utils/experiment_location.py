# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which locations an experiment can be made with.

MLflow keeps a location as it was written, for good, and lets every run of the experiment inherit it.  Seen on 2.22.5,
3.1.4 and 3.17.2: a relative one becomes a directory below wherever the server was started, ``..``, ``//``, a final
slash and a query are kept, a scheme without a host or in capitals is taken and is useless, ``file://HOST/`` ends in
an internal error.  Databases other than SQLite refuse the runs of a location of more than 157 characters.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, artifact_uri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_uri import ArtifactUri
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: The column of a run's artifact_uri has room for 200; a run adds /, its id of 32 characters, and /artifacts.
LONGEST = 200 - len("/") - 32 - len("/artifacts")
_EXAMPLES = "mlflow-artifacts:/NAME (through the server), s3://BUCKET/NAME or the like"
#: The others reach a place of the client's configuration without one.
_HOSTLESS = frozenset(("hdfs", "viewfs", "dbfs"))
#: Read by MLflow or its stores as something else than a part of the path.
_MISREAD = re.compile(r"[\s%?#;\\]")
_MISREAD_WHY = "it has a blank, or one of % ? # ; \\, which MLflow or the store reads as something else"


def _written(uri: ArtifactUri) -> str:
    """Return a location in the one spelling that is taken, as far as there is one."""
    if uri.kind == artifact_uri.LOCAL:
        return uri.path
    parts = urlsplit(uri.given)
    path = posixpath.normpath("/" + parts.path.lstrip("/")) if parts.path.strip("/") else ""
    if uri.kind == artifact_uri.PROXIED and not parts.netloc:
        return f"{uri.scheme}:{path or '/'}"
    return f"{uri.scheme}:{'//' if parts.netloc or uri.scheme != 'dbfs' else ''}{parts.netloc}{path}"


def same(wished: str, stored: str) -> bool:
    """Return whether two locations are the same place; only one that can be told from its text counts."""
    one, other = artifact_uri.parse(wished), artifact_uri.parse(stored)
    if one.indirect or other.indirect or artifact_uri.UNUSABLE in (one.kind, other.kind):
        return wished == stored
    return _written(one) == _written(other)


def _numbered(path: str, root: str, found: str, instead: str) -> Optional[Problem]:
    """Return what is wrong with a place that is MLflow's own to give; ``path`` lies in ``root``."""
    rest = path[len(root.rstrip("/")) :].strip("/")
    if not rest:
        return Problem(found, "every other experiment's directory lies in it", instead)
    if rest.isdigit():
        return Problem(found, f"MLflow gives the experiment {rest} this place, if it has no other", instead)
    return None


def _local(uri: ArtifactUri, found: str, shared: Sequence[str]) -> Optional[Problem]:
    if _MISREAD.search(uri.path):
        return Problem(found, _MISREAD_WHY, "use letters, digits and . _ + @ = - in the names of its directories")
    if not uri.plain:
        why = "MLflow would keep this spelling, and texts that differ count as different places"
        return Problem(found, why, f"write {uri.path}")
    system = artifact_root.system_place(uri.path)
    if system:
        why = f"{system} is the system's, or private to each service"
        return Problem(found, why, "give it a directory in the artifact root, or leave artifact_location out")
    root = next((one for one in shared if artifact_root.within(uri.path, one)), None)
    if root is None:
        why = "clients write a path themselves, each on its own disk, unless it is a share that all hosts mount there"
        where = f"write {shared[0].rstrip('/')}/NAME" if shared else "write mlflow-artifacts:/NAME"
        return Problem(found, why, f"{where}, or name the share's directory in mlflow_experiments_shared_directories")
    return _numbered(uri.path, root, found, f"write {root.rstrip('/')}/NAME, or leave artifact_location out")


def _proxied(uri: ArtifactUri, found: str) -> Optional[Problem]:
    instead = "write mlflow-artifacts:/NAME, or leave artifact_location out"
    if urlsplit(uri.given).netloc:
        why = "it names a server, which clients would have to reach by that name for good; newer releases refuse it"
        return Problem(found, why, "write it without a host: mlflow-artifacts:/NAME")
    return _numbered(urlsplit(uri.given).path, "/", found, instead)


def _remote(uri: ArtifactUri, found: str) -> Optional[Problem]:
    parts = urlsplit(uri.given)
    if not uri.known:
        why = f"MLflow has no store for {uri.scheme}:, and would notice when the first artifact is logged"
        return Problem(found, why, f"mend the scheme: {_EXAMPLES}")
    if ":" in parts.netloc.rpartition("@")[0]:
        why = "it has a password in it, which everybody would be shown who looks at the experiment"
        return Problem(found, why, "leave it out, and give the credentials to the server, or to its users")
    if not parts.netloc and uri.scheme not in _HOSTLESS:
        why = "it names no bucket or host after //, and would be stored all the same"
        return Problem(found, why, f"write {uri.scheme}://BUCKET/NAME, as the store has it")
    return None


def _spelling(uri: ArtifactUri, found: str) -> Optional[Problem]:
    """Return what is wrong with the text of a location that is no path."""
    if _MISREAD.search(uri.given):
        return Problem(found, _MISREAD_WHY, "write names without them, and no query")
    if uri.given != _written(uri):
        why = "MLflow would keep this spelling, and stores take it for another place, or for none"
        return Problem(found, why, f"write {_written(uri)}")
    return None


def _judged(location: str, found: str, shared: Sequence[str]) -> Iterator[Optional[Problem]]:
    uri = artifact_uri.parse(location)
    if uri.kind == artifact_uri.UNUSABLE:
        yield Problem(found, uri.why, f"write {_EXAMPLES}, or leave artifact_location out")
    elif uri.kind == artifact_uri.LOCAL:
        yield _local(uri, found, shared)
    else:
        yield (_proxied if uri.kind == artifact_uri.PROXIED else _remote)(uri, found)
        yield _spelling(uri, found)
    if len(location) > LONGEST:
        why = f"it has {len(location)} characters, and databases have room for runs of at most {LONGEST}"
        yield Problem(found, why, "write a shorter one")


def problem(what: str, location: str, shared: Sequence[str]) -> Optional[Problem]:
    """Return what is wrong with a location, None if nothing is.

    ``what`` says whose it is; ``shared`` are the directories that server and clients see at the same path.  No message
    holds a password.
    """
    shown = artifact_uri.parse(location).shown
    found = f"the artifact_location of {what} is {shown!r}"
    return next((one for one in _judged(location, found, shared) if one is not None), None)
