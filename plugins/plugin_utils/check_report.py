# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artifact check has found on all hosts, as one table for people and one file for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING, Finding

PROVED = "proved"
WARNED = "proved, with a warning"
FAILED = "NOT PROVED"
#: The server and its stored locations have nothing to prove of their own.
FINE = "fine"
NOTED = "warning"
WRONG = "WRONG"

_COLUMNS = ("host", "user", "verdict", "class")
_WIDTH = 110
_INDENT = "    "
_ORDER = {ERROR: 0, WARNING: 1, INFO: 2}


@dataclass(frozen=True)
class Result:
    """What a task of the check came back with on a host, as Ansible registers it."""

    host: str
    registered: Mapping[str, Any]
    #: Whether its users count as proved only by their replies.
    is_proof: bool = False

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings of the task, one of its own when it could not do its work."""
        if self.registered.get("unreachable"):
            why = str(self.registered.get("msg", "")).strip()
            text = f"this host could not be reached, so nothing is proved for it: {why}"
            return [Finding("unreachable", ERROR, text, "check the connection, then check again").as_dict()]
        if self.registered.get("failed"):
            text = f"the check itself failed here: {str(self.registered.get('msg', '')).strip()}"
            return [Finding("probe_failed", ERROR, text, "mend what it says, then check again").as_dict()]
        return [dict(finding) for finding in self.registered.get("findings", ())] + self._unanswered()

    def _unanswered(self) -> list[dict[str, Any]]:
        """Return a finding for each user who neither replied nor has anything wrong."""
        if not self.is_proof:
            return []
        told = {reply["user"] for reply in self.registered.get("replies", ())}
        told |= {one.get("user") for one in self.registered.get("findings", ()) if one["severity"] != INFO}
        text = "nothing came back for this user, so nothing is proved"
        return [
            Finding("not_proved", ERROR, text, "check again").as_dict(user=user)
            for user in self.registered.get("users", ())
            if user not in told
        ]


@dataclass
class Row:
    """One line of the table: a user on a host, or the server."""

    host: str
    user: str
    is_server: bool = False
    findings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def worst(self) -> str:
        """The gravest severity found, '' when nothing was."""
        return min((finding["severity"] for finding in self.findings), key=_ORDER.__getitem__, default="")

    @property
    def verdict(self) -> str:
        """What came of it, in words."""
        words = (WRONG, NOTED, FINE) if self.is_server else (FAILED, WARNED, PROVED)
        return words[_ORDER.get(self.worst, _ORDER[INFO])]


def unread(proof: Result, read: Collection[str]) -> Result:
    """Return a proof as it is, or with an error for each reply when the server has not read those of its run.

    What was not read by the server proves nothing, whatever kept it from reading.
    """
    replies = proof.registered.get("replies", ())
    if not replies or proof.registered.get("run") in read:
        return proof
    text = "the server has not read this user's reply, so nothing is proved"
    remedy = "see what was found on the server, then check again"
    lost = [Finding("replies_not_read", ERROR, text, remedy).as_dict(user=reply["user"]) for reply in replies]
    return replace(proof, registered={**proof.registered, "findings": [*proof.registered.get("findings", ()), *lost]})


def rows(clients: Iterable[Result], server: str, server_results: Iterable[Result]) -> list[Row]:
    """Return the rows of all hosts in their order, the server's last.

    A finding of the server's that names a client belongs to that client's row.
    """
    found: dict[tuple[str, str], Row] = {}

    def row(host: str, user: str, is_server: bool = False) -> Row:
        return found.setdefault((host, user), Row(host, user, is_server))

    for result in clients:
        for user in result.registered.get("users", ()):
            row(result.host, user)
        for finding in result.findings:
            row(result.host, finding.get("user", "")).findings.append(finding)
    last = Row(server, "", is_server=True)
    for result in server_results:
        for finding in result.findings:
            at = row(finding["client"], finding.get("user", "")) if finding.get("client") else last
            at.findings.append(finding)
    listed = [*found.values(), last]
    for one in listed:
        one.findings.sort(key=lambda finding: _ORDER[finding["severity"]])
    return listed


def _cells(row: Row, finding: Optional[Mapping[str, Any]]) -> tuple[str, str, str, str]:
    kind = f"{finding['class']} ({finding['severity']})" if finding else ""
    user = "(server)" if row.is_server else row.user
    return (row.host, user, row.verdict, kind)


def _shown(row: Row) -> Sequence[Optional[Mapping[str, Any]]]:
    """Return the findings of a row, one None when there are none: it has a line of its own nevertheless."""
    return [*row.findings] or [None]


def _wrapped(text: str) -> list[str]:
    """Break a text into lines; a command between backquotes is never broken, so that it can be copied."""
    for command in text.split("`")[1::2]:
        text = text.replace(command, command.replace(" ", "\0"))
    lines = textwrap.wrap(text, _WIDTH - len(_INDENT), break_long_words=False, break_on_hyphens=False)
    return [_INDENT + line.replace("\0", " ") for line in lines]


def _lines(finding: Mapping[str, Any], told: dict[str, str], whose: str) -> list[str]:
    """Return the lines below a row; what was told to do before is only pointed at."""
    remedy = str(finding["remedy"])
    lines = _wrapped(str(finding["message"]))
    if remedy in told:
        lines += _wrapped(f"-> as for {told[remedy]}")
    elif remedy:
        told[remedy] = whose
        lines += _wrapped(f"-> {remedy}")
    return lines


def table(listed: Sequence[Row]) -> list[str]:
    """Return the table's lines: host, user, verdict and class in columns, message and remedy below them."""
    cells = [_COLUMNS, *(_cells(row, finding) for row in listed for finding in _shown(row))]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(_COLUMNS))]

    def line(values: Sequence[str]) -> str:
        return "  ".join(value.ljust(width) for value, width in zip(values, widths)).rstrip()

    told: dict[str, str] = {}
    lines = [line(_COLUMNS), line(["-" * width for width in widths])]
    for row in listed:
        for finding in _shown(row):
            lines.append(line(_cells(row, finding)))
            lines += _lines(finding, told, f"{row.user} on {row.host}".removeprefix(" on ")) if finding else []
    return lines


def errors(listed: Iterable[Row], host: str) -> list[str]:
    """Return what fails a host, in short: its own errors, and the server's, without which nobody is proved."""
    return [
        f"{finding['class']} for {row.user} on {row.host}".replace(" for  on", " on")
        for row in listed
        if row.host == host or row.is_server
        for finding in row.findings
        if finding["severity"] == ERROR
    ]


def as_json(listed: Iterable[Row], server: str, root: str, runs: Sequence[str]) -> dict[str, Any]:
    """Return the report in the form that is written to a file."""
    return {
        "version": 1,
        "server": server,
        "artifact_root": root,
        "runs": list(runs),
        "rows": [
            {
                "host": row.host,
                "user": row.user,
                "server": row.is_server,
                "verdict": {ERROR: "failed", WARNING: "warning"}.get(row.worst, "proved"),
                "findings": row.findings,
            }
            for row in listed
        ],
    }
