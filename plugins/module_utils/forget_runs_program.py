# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove experiments of the artifact check for good: their files, then their rows in the database.

Runs by itself under the server's Python, as its user and with its environment:
``python -I - JSON < this file``, where JSON has ``experiments``, names by id.  Prints a line of JSON for each.

``mlflow gc`` can't do it: with --experiment-ids it also destroys every other run that somebody has deleted and
may want back (seen on MLflow 3.17.2), it wants the database's password as an argument, and it leaves the
directories of run and experiment behind, in which a later experiment of the same number fails.
"""

from __future__ import annotations

import errno
import itertools
import json
import os
import sys
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

#: Far more than the check makes: somebody else's files are not deleted in bulk.
MOST_ENTRIES = 100
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(parent: int, name: str) -> None:
    """Remove a directory with all in it, never through a link or into another file system.

    ``parent`` is the open directory that has it.  Raises OSError; ENOTEMPTY when there is more than the
    check can have made.
    """
    try:
        directory = os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return
    try:
        if os.fstat(directory).st_dev != os.fstat(parent).st_dev:
            raise OSError(errno.EXDEV, "another file system is mounted here", name)
        with os.scandir(directory) as entries:
            found = list(itertools.islice(entries, MOST_ENTRIES + 1))
        if len(found) > MOST_ENTRIES:
            raise OSError(errno.ENOTEMPTY, f"it has more than {MOST_ENTRIES} entries", name)
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                remove_tree(directory, entry.name)
            else:
                os.unlink(entry.name, dir_fd=directory)
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)


def split_path(path: str, experiment: str, run: str) -> str:
    """Return the root in ROOT/EXPERIMENT/RUN/artifacts.  Raises ValueError when a path is built otherwise."""
    root, *rest = path.rstrip("/").rsplit("/", 3)
    if rest != [experiment, run, "artifacts"] or not root.startswith("/"):
        raise ValueError(f"{path} is not where the check's runs are")
    return root


def remove_run(root: str, experiment: str, run: str) -> None:
    """Remove ROOT/EXPERIMENT/RUN, and ROOT/EXPERIMENT when it is empty then.  Raises OSError."""
    above = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            middle = os.open(experiment, _DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            return
        try:
            remove_tree(middle, run)
        finally:
            os.close(middle)
        try:
            os.rmdir(experiment, dir_fd=above)
        except OSError as error:
            # Another run's directory, still to come.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        os.close(above)


def place(artifact_uri: str, destination: str) -> tuple[str, str]:
    """Return the store of a run and the path in it, '' for all of the store.

    Proxied artifacts are looked for where the server itself keeps them, ``destination``.
    """
    parts = urlsplit(artifact_uri)
    if parts.scheme != "mlflow-artifacts":
        return artifact_uri, ""
    if not destination:
        raise ValueError("the server's environment file has no MLFLOW_ARTIFACTS_DESTINATION")
    return destination, parts.path.strip("/")


def remove_files(artifact_uri: str, experiment: str, run: str) -> None:
    """Remove a run's artifacts, wherever they are."""
    store, below = place(artifact_uri, os.environ.get("MLFLOW_ARTIFACTS_DESTINATION", ""))
    if urlsplit(store).scheme in ("", "file"):
        path = import_module("mlflow.utils.file_utils").local_file_uri_to_path(store)
        path = os.path.join(path, below) if below else path
        remove_run(split_path(path, experiment, run), experiment, run)
        return
    registry = import_module("mlflow.store.artifact.artifact_repository_registry")
    registry.get_artifact_repository(store).delete_artifacts(below or None)


def forget(store: Any, number: str, name: str) -> str:
    """Remove an experiment with its runs, and return '' or what is left and why."""
    stages = import_module("mlflow.entities").ViewType
    experiment = store.get_experiment(number)
    if experiment.name != name or experiment.lifecycle_stage != "deleted":
        return f"experiment {number} is not the deleted {name}"
    for run in store.search_runs([number], "", stages.ALL, max_results=MOST_ENTRIES):
        try:
            remove_files(run.info.artifact_uri, number, run.info.run_id)
        except (OSError, ValueError) as error:
            # Its rows stay, so that the next check tries again.
            return f"{run.info.artifact_uri}: {error}"
        store._hard_delete_run(run.info.run_id)
    store._hard_delete_experiment(number)
    return ""


def main(argument: str) -> None:
    """Remove the experiments one by one, and say after each what came of it."""
    wanted = json.loads(argument)["experiments"]
    get_store = import_module("mlflow.tracking._tracking_service.utils")._get_store
    store = get_store(os.environ["MLFLOW_BACKEND_STORE_URI"], os.environ.get("MLFLOW_DEFAULT_ARTIFACT_ROOT"))
    for number, name in wanted.items():
        sys.stdout.write(json.dumps({"experiment": number, "left": forget(store, number, name)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
