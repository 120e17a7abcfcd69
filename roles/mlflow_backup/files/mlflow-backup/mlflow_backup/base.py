# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program was told, and how it runs others and says what is wrong."""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class BackupError(Exception):
    """Something can't be done: what was found, why it is wrong, what to do instead."""

    def __init__(self, found: str, why: str, instead: str) -> None:
        super().__init__(f"found: {found}\n  why: {why}\n  instead: {instead}")
        self.found = found


@dataclass(frozen=True)
class Config:
    """What the role has written down."""

    directory: Path
    python: str
    program: str
    environment: Path
    artifacts: str
    artifact_root: Path
    keep: int
    sample: int
    snapshot_command: tuple[str, ...]
    restic_repository: str
    restic_password_file: str
    restic_forget: bool
    configuration: tuple[Path, ...]
    data: tuple[Path, ...]


def read_config(path: str) -> Config:
    """Return the configuration.  Raises OSError, KeyError, ValueError and configparser.Error."""
    # A name or a command may have a %.
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as stream:
        parser.read_file(stream)
    section = parser["backup"]
    return Config(
        Path(section["directory"]),
        section["python"],
        section["program"],
        Path(section["environment"]),
        section["artifacts"],
        Path(section["artifact_root"]),
        int(section["keep"]),
        int(section["sample"]),
        tuple(shlex.split(section["snapshot_command"])),
        section["restic_repository"],
        section["restic_password_file"],
        section.getboolean("restic_forget", True),
        tuple(map(Path, shlex.split(section["configuration"]))),
        tuple(map(Path, shlex.split(section["data"]))),
    )


def say(level: int, text: str) -> None:
    """Print lines, to the journal with a level of syslog(3)."""
    for line in text.splitlines():
        print(f"<{level}>{line}" if "JOURNAL_STREAM" in os.environ else line, file=sys.stderr, flush=True)


def run(argv: Sequence[str | Path], instead: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a program prints.  Raises BackupError with what it says when it fails."""
    command = list(map(str, argv))
    try:
        ran = subprocess.run(command, capture_output=True, check=False, env={**os.environ, **(environment or {})})
    except OSError as error:
        raise BackupError(
            f"{command[0]} can't be run: {error.strerror}", "it does a part of the backup", instead
        ) from error
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip()[-2000:]
        raise BackupError(f"{command[0]} failed with {ran.returncode}: {said}", "it does a part of the backup", instead)
    return ran.stdout.decode("utf-8", "replace")


def database(config: Config, *arguments: str | Path) -> Record:
    """Run mlflow-database, and return its answer.  Raises BackupError with its error."""
    command = [config.python, "-I", config.program, "--environment", str(config.environment), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, check=False)
    try:
        answer: Record = json.loads(ran.stdout)
    except ValueError as error:
        said = (ran.stdout + ran.stderr).decode("utf-8", "replace").strip()[-2000:]
        raise BackupError(
            f"mlflow-database {arguments[0]} failed: {said}",
            "the databases are dumped by it",
            "run the playbook site.yml",
        ) from error
    if "error" in answer:
        raise BackupError(**answer["error"])
    return answer
