# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at, dump, verify and restore the databases of an MLflow server.

    VENV/bin/python -I mlflow-database --environment /etc/mlflow/server.env COMMAND

VENV is the server's, whose SQLAlchemy and drivers this uses.  The databases' addresses come from the server's
environment file, so that no password is among a process' arguments.  It prints one JSON object.  Exit code 0: done;
1: not done, and {"error": {"found", "why", "instead"}} says why; 2: called wrongly.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from mlflow_database import backup, stores
from mlflow_database.database import RefusalError


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command and its directories."""
    parser = argparse.ArgumentParser(prog="mlflow-database", description=__doc__.partition("\n")[0])
    parser.add_argument("--environment", type=Path, required=True, help="the server's environment file")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status", help="tell engine, revision, size, rows by table, and what a dump would fail on")
    dump = commands.add_parser("dump", help="dump all databases into a new directory")
    verify = commands.add_parser("verify", help="restore a dump into a scratch place and compare")
    verify.add_argument("--scratch", type=Path, help="where to put files for that (default: beside the dump)")
    restore = commands.add_parser("restore", help="replace what the databases hold by a dump")
    for command in (dump, verify, restore):
        command.add_argument("directory", type=Path, metavar="DIRECTORY", help="the dump's directory")
    return parser.parse_args(arguments)


def main() -> int:
    """Do as told, and print the answer."""
    given = parse(sys.argv[1:])
    os.umask(0o077)
    try:
        databases = stores.read(given.environment)
        if given.command == "status":
            answer = backup.status(databases)
        elif given.command == "dump":
            answer = backup.dump(databases, given.directory.absolute())
        elif given.command == "verify":
            directory = given.directory.absolute()
            scratch = (
                given.scratch.absolute() / "mlflow-verify"
                if given.scratch
                else directory.with_name(f"{directory.name}.scratch")
            )
            answer = backup.verify(databases, directory, scratch)
        else:
            answer = backup.restore(databases, given.directory.absolute())
    except RefusalError as error:
        answer = {"error": error.told()}
    except OSError as error:
        answer = {
            "error": {
                "found": str(error),
                "why": "a file could not be read or written",
                "instead": "see that there is space (`df -h`) and that this account may write there, and run this again",
            }
        }
    json.dump(answer, sys.stdout, sort_keys=True)
    print()
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
