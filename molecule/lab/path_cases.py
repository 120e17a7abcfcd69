# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of scenario `paths`: what is wrong with an artifact path, and what the check has to say of it.

All cases of a deployment are proved by one check, as if MLflow had stored locations below each of their roots.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.base import LabError

#: user, or SERVER -> class -> severity
Found = dict[str, dict[str, str]]

SERVER = "server"
REMEDY = "remedy"
_KEYS = frozenset(
    (
        "letter",
        "deployment",
        "nas",
        "server",
        "client",
        "later",
        "export",
        "root",
        "directory",
        "finds",
        "mend",
        "then",
    ),
)
_HOSTS = {"the client": "client", "the server": "server", "the NFS server": "nas", "nas": "nas"}
_STEP = re.compile(r"\bon (the client|the server|the NFS server|nas)\b[^`]*?: ([^;]*)")


@dataclass(frozen=True)
class Deployment:
    """What is checked in one go: `given` are the role's inputs without their prefix."""

    name: str
    given: Mapping[str, Any]

    def inputs(self, mended: bool) -> dict[str, Any]:
        """Return the role's inputs."""
        # The server's own mount has to tell the share.
        given = {"share": "", **self.given, **(self.given.get("mended", {}) if mended else {})}
        given.pop("mended", None)
        return {f"mlflow_artifact_check_{name}": value for name, value in given.items()}

    def users(self, mended: bool) -> list[str]:
        """Return for whom the paths are proved."""
        users: list[str] = self.inputs(mended)["mlflow_artifact_check_users"]
        return users


@dataclass(frozen=True)
class Case:
    """One case, as vars/cases.yml describes it."""

    name: str
    deployment: Deployment
    given: Mapping[str, Any]

    @property
    def root(self) -> str:
        """Where the clients expect the share."""
        return str(self.given.get("root", f"/mnt/cases/{self.name}"))

    @property
    def directory(self) -> str:
        """The share's directory on the NAS."""
        kind = "special" if "export" in self.given else "cases"
        return str(self.given.get("directory", f"/srv/{kind}/{self.name}"))

    @property
    def mend(self) -> Any:
        """How it is mended: REMEDY, commands by host, or None."""
        return self.given.get("mend")

    def expected(self, mended: bool) -> Found:
        """Return what the check has to find, for each user and the server."""
        told = self.given.get("finds", {})
        if mended and self.mend is not None:
            told = self.given.get("then", {})
        for_all = {name: severity for name, severity in told.items() if isinstance(severity, str)}
        of_each = {name: dict(classes) for name, classes in told.items() if not isinstance(classes, str)}
        found = {user: dict(for_all) for user in self.deployment.users(mended)} | of_each
        return {who: classes for who, classes in found.items() if classes}


def load(file: Path) -> tuple[Case, ...]:
    """Read the cases.

    :raises LabError: a key is misspelt, or a deployment.
    """
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    deployments = {name: Deployment(name, given) for name, given in told["deployments"].items()}
    cases = []
    for name, given in told["cases"].items():
        if unknown := set(given) - _KEYS:
            raise LabError(f"case {name}: unknown keys {', '.join(sorted(unknown))}")
        wanted = given.get("deployment", next(iter(deployments)))
        if wanted not in deployments:
            raise LabError(f"case {name}: unknown deployment {wanted!r}")
        cases.append(Case(name, deployments[wanted], given))
    return tuple(cases)


def inventory(cases: Sequence[Case], client: Mapping[str, Any], report: Path, mended: bool = False) -> dict[str, Any]:
    """Return an inventory with one host, by which a deployment's cases are checked on the client.

    :param cases: all of one deployment.
    :param client: how the client is reached, as the lab's inventory says.
    :param report: where the check's report goes.
    """
    deployment = cases[0].deployment
    inputs = {
        **client,
        **deployment.inputs(mended),
        "mlflow_artifact_check_artifact_root": cases[0].root,
        "mlflow_artifact_check_report": str(report),
        "cases_roots": [case.root for case in cases],
    }
    return {"cases": {"hosts": {deployment.name: inputs}}}


def _findings(report: Mapping[str, Any], case: Case) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in report["rows"]:
        for finding in row["findings"]:
            if finding.get("path", case.root) == case.root:
                yield SERVER if row["server"] else row["user"], finding


def found(case: Case, report: Mapping[str, Any]) -> Found:
    """Return what a check's report says of a case's artifact root, for each user and the server."""
    seen: Found = {}
    for who, finding in _findings(report, case):
        seen.setdefault(who, {})[finding["class"]] = finding["severity"]
    return seen


def remedies(case: Case, report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the commands that a check's report tells to type for a case, in their order, each with its host."""
    told = dict.fromkeys(finding["remedy"] for _who, finding in _findings(report, case))
    return [step for remedy in told for step in commands(remedy, case.directory)]


def recorded(case: Case, report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the clients' findings about a case were judged from: name -> evidence, and what it led to.

    One user stands for all of whom the same was found. What users met in colleagues' directories isn't there.
    """
    judged: dict[str, dict[str, Any]] = {}
    for who, finding in _findings(report, case):
        evidence = finding["evidence"]
        if who != SERVER and "uid" in evidence and not evidence.get("colleague"):
            one = judged.setdefault(who, {"evidence": evidence, "finds": []})
            one["finds"].append([finding["class"], finding["severity"]])
    distinct: dict[str, tuple[str, dict[str, Any]]] = {}
    for who, one in judged.items():
        distinct.setdefault(str(one["finds"]), (who, one))
    return {case.name if len(distinct) == 1 else f"{case.name}-{who}": one for who, one in distinct.values()}


def record(cases: Sequence[Case], reports: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
    """Write the evidence of the cases, a file for each, for the unit tests of the judgement.

    :param reports: deployment -> its check's report.
    """
    for case in cases:
        for name, one in recorded(case, reports[case.deployment.name]).items():
            text = json.dumps(one, indent=2, sort_keys=True) + "\n"
            (directory / f"{name}.json").write_text(text, encoding="utf-8")


def commands(remedy: str, directory: str) -> list[tuple[str, str]]:
    """Return the commands of a remedy in their order, each with the host that it is for.

    What follows a semicolon is advice for later.

    :param directory: what the D of some remedies stands for.
    """
    return [
        (_HOSTS[step[1]], re.sub(r"\bD\b", directory, command))
        for step in _STEP.finditer(remedy)
        for command in step[2].split("`")[1::2]
    ]


def mends(cases: Sequence[Case], reports: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Return what to type on which host to mend the cases: name -> host -> commands.

    :param reports: deployment -> its check's report, which has the remedies.
    """
    typed = {}
    for case in cases:
        steps = dict.fromkeys(("nas", "server", "client"), "")
        if case.mend == REMEDY:
            for host, command in remedies(case, reports[case.deployment.name]):
                steps[host] += f"{command}\n"
        elif case.mend:
            steps.update(case.mend)
        typed[case.name] = {"root": case.root, "directory": case.directory, **steps}
    return typed


def read(report: Path) -> dict[str, Any]:
    """Read a check's report.

    :raises OSError: there is none.
    """
    told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return told
