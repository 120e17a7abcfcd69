# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back up an MLflow server, and put a backup back: its databases and the artifacts that belong to them.

A backup is a directory with a dump of the databases, the artifacts or word of where they are, the configuration
without its secrets, and `backup.json`, which says what is in it.  It has its name when it was verified.

The databases come first: what is logged meanwhile then has artifacts without a run, which nobody misses; the other
way round there would be runs without their artifacts.  A restore goes the other way.

It runs as the server's account, which can read artifacts on a share whose root is squashed.  It prints its answer as
JSON, and says on stderr what goes wrong.  Exit code 0: done; 1: not done; 2: called wrongly; 3: a restore was refused,
and nothing was changed.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import sys
import time
from pathlib import Path

from mlflow_backup import making, metrics, restoring, shelf
from mlflow_backup.base import BackupError, Config, Record, read_config, say

FAILED, REFUSED = 1, 3


def parse() -> argparse.Namespace:
    """Return the command and its options."""
    parser = argparse.ArgumentParser(prog="mlflow-backup", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="/etc/mlflow-backup.conf", help="the file that the role wrote")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="make a backup, verify it, and drop those that are too many")
    commands.add_parser("list", help="tell which backups there are")
    back = commands.add_parser("restore", help="put a backup back; the server must be stopped")
    back.add_argument("backup", nargs="?", default="", help="its name, or restic:SNAPSHOT (default: the newest)")
    back.add_argument("--overwrite", action="store_true", help="even where there are runs or artifacts")
    return parser.parse_args()


def back_up(config: Config) -> Record:
    """Make a backup, and leave word of it for Prometheus where systemd gave a directory for that."""
    started, success = time.monotonic(), False
    try:
        record = making.make(config)
        success = True
    finally:
        state = os.environ.get("STATE_DIRECTORY")
        if state:
            text = metrics.render(shelf.complete(config.directory), success, time.monotonic() - started)
            Path(state, metrics.FILE).write_text(text, encoding="utf-8")
    counts, artifacts = record["stores"]["tracking"]["counts"], record["artifacts"]
    say(
        6,
        f"backup {record['name']}: {counts.get('experiments', 0)} experiments, {counts.get('runs', 0)} runs, "
        f"{artifacts['files']} artifact files ({artifacts['method']}), verified in {record['seconds']} s.",
    )
    return record


def main() -> int:
    """Do as told."""
    given = parse()
    # What is put back keeps the modes it had; what is made is nobody else's.
    os.umask(0o077)
    failure = FAILED
    try:
        config = read_config(given.config)
        if given.command == "list":
            answer = {"backups": [path.name for path in shelf.complete(config.directory)]}
        elif given.command == "run":
            with shelf.locked(config.directory):
                answer = back_up(config)
        else:
            with shelf.locked(config.directory):
                failure = REFUSED
                chosen = restoring.prepare(config, given.backup, given.overwrite)
                failure = FAILED
                answer = restoring.restore(config, *chosen)
    except BackupError as error:
        say(3, str(error))
        return failure
    except (OSError, KeyError, ValueError, configparser.Error) as error:
        say(3, f"found: {error}\n  why: the backup can't be worked with\n  instead: see `df -h` and {given.config}")
        return failure
    json.dump(answer, sys.stdout, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
