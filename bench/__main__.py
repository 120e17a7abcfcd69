# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m bench``: measure, show, and record."""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench.hosts import Hosts
from bench.plan import PARTS, QUICK, Effort, Session, carry_out
from bench.report import Run, record, table
from lab.base import LabError, Progress, write_atomically

HERE = Path(__file__).resolve().parent


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(prog="bench", description="Measure the collection against plain alternatives.")
    top.add_argument("--quick", action="store_true", help="measure everything once, to see that it works")
    top.add_argument("--only", choices=PARTS, help="measure one part")
    top.add_argument("--keep", action="store_true", help="leave the hosts up (`python -m lab down bench` removes them)")
    return top


def measure(hosts: Hosts, options: argparse.Namespace) -> None:
    """Measure what the options say; a whole run is recorded, others are only shown."""
    effort = QUICK if options.quick else Effort()
    session = Session(hosts, effort)
    steps = session.steps((options.only,) if options.only else PARTS)
    carry_out(steps, lambda line: print(line, flush=True))
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    run = Run(date=today, cores=os.cpu_count() or 1, versions=session.versions)
    found = session.measures()
    text = table(run, found)
    print(f"\n{text}")
    if options.quick or options.only:
        print("not recorded: this was only a part of a whole run")
    else:
        write_atomically(HERE / "results.json", record(run, found), mode=0o644)
        write_atomically(HERE / "results.md", text, mode=0o644)
        print("recorded in bench/results.json and bench/results.md")


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("bench: told to end")


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    hosts = Hosts(Progress("bench"))
    try:
        if not options.keep:
            hosts.down()  # what a run that was killed may have left
        measure(hosts, options)
    except (LabError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"bench: failed: {error}")
        return 1
    finally:
        if not options.keep:
            hosts.down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
