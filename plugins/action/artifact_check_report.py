# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what an artifact check has found on all hosts; documented as a module."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils import check_report
from ansible_collections.selfhosted.mlflow.plugins.plugin_utils.check_report import Result

#: What the role registers on each client, and what it registers of the server for all clients alike.
PROOF = "__mlflow_artifact_check_probe"
OF_CLIENTS = (
    PROOF,
    "__mlflow_artifact_check_colleagues",
    "__mlflow_artifact_check_logged_run",
)
COLLECTED = "__mlflow_artifact_check_collected"
OF_SERVER = (
    "__mlflow_artifact_check_locations",
    "__mlflow_artifact_check_sentinel",
    COLLECTED,
    "__mlflow_artifact_check_runs_deleted",
)


def _registered(variables: Mapping[str, Any], name: str) -> Optional[Mapping[str, Any]]:
    result = variables.get(name)
    return result if isinstance(result, Mapping) and not result.get("skipped") else None


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Keep other hosts' reports of this play out, which come at the same time when hosts go at their own pace."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _runs(path: str) -> set[str]:
    """Return the runs that a report on the disk tells of: all of ours and more when a host of this play was later."""
    try:
        with open(path, encoding="utf-8") as stream:
            return set(json.load(stream)["runs"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        # None yet, or not one of ours.
        return set()


def _write(path: str, content: str) -> None:
    directory = os.path.dirname(path)
    descriptor, scratch = tempfile.mkstemp(dir=directory, prefix=".artifact-check-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(scratch, 0o644)
        os.replace(scratch, path)
    except OSError:
        os.unlink(scratch)
        raise


class ActionModule(ActionBase):
    """Action ``selfhosted.mlflow.artifact_check_report``."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        variables = task_vars or {}
        _given, arguments = self.validate_argument_spec(
            argument_spec={
                "server": {"type": "str", "required": True},
                "artifact_root": {"type": "str", "required": True},
                "path": {"type": "str", "default": ""},
            }
        )
        clients, server_results = self._results(variables)
        rows = check_report.rows(clients, arguments["server"], server_results)
        table = check_report.table(rows)
        self._display.display("\n" + "\n".join(table) + "\n")
        runs = sorted({str(result.registered["run"]) for result in server_results if result.registered.get("run")})
        if arguments["path"]:
            report = check_report.as_json(rows, arguments["server"], arguments["artifact_root"], runs)
            self._save(os.path.abspath(os.path.expanduser(arguments["path"])), report)
        hosts = variables["ansible_play_hosts_all"]
        return {"changed": False, "table": table, "errors": {host: check_report.errors(rows, host) for host in hosts}}

    def _results(self, variables: dict[str, Any]) -> tuple[list[Result], list[Result]]:
        clients: list[Result] = []
        of_server: dict[tuple[str, str], Result] = {}
        for host in variables["ansible_play_hosts_all"]:
            known = variables["hostvars"][host]
            if COLLECTED not in known:
                # Not in this batch, or, where hosts go at their own pace, still at it: its own report comes later.
                continue
            for name in OF_CLIENTS:
                found = _registered(known, name)
                if found is not None:
                    clients.append(Result(host, found, is_proof=name == PROOF))
            for name in OF_SERVER:
                found = _registered(known, name)
                if found is not None:
                    # Each host has a copy; hosts of another batch, or at their own pace, have a run of their own.
                    of_server[name, str(found.get("run", found.get("msg", "")))] = Result("", found)
        read = {
            str(result.registered.get("run"))
            for (name, _run), result in of_server.items()
            if name == COLLECTED and not result.registered.get("failed") and not result.registered.get("unreachable")
        }
        judged = [check_report.unread(client, read) if client.is_proof else client for client in clients]
        return judged, list(of_server.values())

    def _save(self, path: str, report: dict[str, Any]) -> None:
        try:
            with _locked(os.path.dirname(path)):
                runs = set(report["runs"])
                if not runs or not runs < _runs(path):
                    _write(path, json.dumps(report, indent=2, sort_keys=True) + "\n")
        except OSError as error:
            raise AnsibleActionFail(f"the report can't be written to {path}: {error.strerror}") from error
