# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write, list, read and delete a small file in an artifact store with MLflow's own code, and tell how far that went.

Runs by itself under a Python that has MLflow and the store's driver: ``python -I -c THIS``, with a JSON object on
standard input, for arguments can be seen by everybody: ``uri``, ``endpoint`` (host and port to connect to first, or
null), ``write`` (false only lists) and ``deletes`` (whether MLflow can delete in such a store).  Prints a JSON object:
the ``steps`` that succeeded, ``left`` with the address of what could not be removed or '', and ``error`` with the
``step`` that failed, the exception's name and its text.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import secrets
import socket
import sys
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

CONNECT_SECONDS = 10
NAME = "mlflow-can-use-this-store.txt"


def _reason(error: BaseException) -> tuple[str, str]:
    """Return name and text of the innermost exception that says something: drivers' words are around each other."""
    chain = [error]
    while chain[-1].__cause__ or (chain[-1].__context__ and not chain[-1].__suppress_context__):
        chain.append(chain[-1].__cause__ or chain[-1].__context__ or error)
        if chain[-1] in chain[:-1]:
            chain.pop()
            break
    said = [one for one in chain if str(one).strip() and str(one) != "None"]
    texts: list[str] = []
    for one in (said or chain)[:3]:
        text = " ".join(str(one).split())
        if not any(text in other for other in texts):
            texts.append(text)
    # What MLflow and the driver say last, and what that came of.
    return type(error).__name__, " <- ".join(texts)


def _remove_directory(repository: Any, directory: str) -> None:
    """Remove the empty directory that MLflow leaves in stores that have such; that it went well is seen later."""
    with contextlib.suppress(Exception):
        kind = type(repository).__name__
        if kind == "FTPArtifactRepository":
            with repository.get_ftp_client() as ftp:
                for name in ftp.nlst(directory):
                    ftp.delete(posixpath.join(directory, posixpath.basename(name)))
                ftp.rmd(directory)
        elif kind == "HdfsArtifactRepository":
            module = import_module("mlflow.store.artifact.hdfs_artifact_repo")
            with module.hdfs_system(scheme=repository.scheme, host=repository.host, port=repository.port) as hdfs:
                hdfs.delete_dir(directory)
        elif kind == "AzureDataLakeArtifactRepository":
            repository.fs_client.delete_directory(directory.lstrip("/"))


class _Failure(contextlib.AbstractContextManager[None]):
    """Keeps what was raised, which may be anything: drivers have exceptions of their own."""

    told: dict[str, str]

    def __init__(self) -> None:
        self.told = {}

    def __exit__(self, kind: Any, raised: Optional[BaseException], trace: Any) -> bool:
        if isinstance(raised, Exception):
            self.told = dict(zip(("name", "text"), _reason(raised)))
        return raised is None or isinstance(raised, Exception)


class Probe:
    """One proof; ``steps`` are those that succeeded, ``step`` the one that is under way."""

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self.own = f"{self.uri}/.mlflow-proof-{secrets.token_hex(6)}"
        self.steps: list[str] = []
        self.step = "load"
        self.written = False

    def _done(self, following: str) -> None:
        self.steps.append(self.step)
        self.step = following

    def _names(self, repository: Any) -> list[str]:
        return [posixpath.basename(found.path) for found in repository.list_artifacts()]

    def run(self, endpoint: Optional[list[Any]], write: bool, deletes: bool) -> None:
        """Do it all.  Raises whatever MLflow and the driver raise."""
        registry = import_module("mlflow.store.artifact.artifact_repository_registry")
        if endpoint:
            self.step = "connect"
            # First, for drivers try an address that does not answer again and again, for minutes.
            socket.create_connection((endpoint[0], endpoint[1]), CONNECT_SECONDS).close()
        self.step = "open"
        repository = registry.get_artifact_repository(self.own)
        self._done("list")
        self._names(repository)
        if not write:
            self.steps.append("list")
            return
        self._done("write")
        with tempfile.TemporaryDirectory() as name:
            content = secrets.token_hex(16)
            sent = Path(name, NAME)
            sent.write_text(content)
            self.written = True
            repository.log_artifact(str(sent))
            self._done("find")
            if NAME not in self._names(repository):
                raise RuntimeError("what was written is not listed")
            self._done("read")
            back = Path(name, "back")
            back.mkdir()
            read = Path(repository.download_artifacts(NAME, dst_path=str(back))).read_text()
            if read != content:
                raise RuntimeError("what was read is not what was written")
        self._done("delete")
        self._delete(repository, deletes)
        self.steps.append("delete")

    def _delete(self, repository: Any, deletes: bool) -> None:
        if deletes:
            repository.delete_artifacts()
        _remove_directory(repository, getattr(repository, "path", None) or f"/{self.own.split('/', 3)[-1]}")
        # Asked again, for some stores do not say that they have not deleted.
        if NAME in self._names(repository):
            raise RuntimeError("what was deleted is still listed: the store did not delete it, and did not say why")
        self.written = False


def prove(asked: dict[str, Any]) -> dict[str, Any]:
    """Return how far it went; what can go wrong is told, not raised."""
    probe, failure = Probe(asked["uri"]), _Failure()
    with failure:
        probe.run(asked["endpoint"], asked["write"], asked["deletes"])
    error = {**failure.told, "step": probe.step} if failure.told else None
    if error and probe.written and probe.step != "delete":
        _clean(probe, asked["deletes"])
    return {"steps": probe.steps, "error": error, "left": probe.own if probe.written else ""}


def _clean(probe: Probe, deletes: bool) -> None:
    """Remove what a failed proof may have written; ``written`` stays true where that can't be said."""
    with contextlib.suppress(Exception):
        registry = import_module("mlflow.store.artifact.artifact_repository_registry")
        repository = registry.get_artifact_repository(probe.own)
        if NAME not in probe._names(repository):
            probe.written = False
        else:
            probe._delete(repository, deletes)


if __name__ == "__main__":
    given = json.load(sys.stdin)
    answer = sys.stdout
    # Drivers print and warn, and the answer must stand alone.
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = prove(given)
    answer.write(json.dumps(told) + "\n")
