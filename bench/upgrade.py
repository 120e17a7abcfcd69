# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench-upgrade``: how long a server is away while it is upgraded with the data of 10,000 runs.

On this machine, by the sites of tests/integration/upgrade: real releases, real data, SQLite.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.upgrade.site import NEW, OLD, Site, seeded

SEEDED = 1000
#: What belongs to a run, by its column.
TABLES = ("runs", "metrics", "latest_metrics", "params", "tags")


def multiply(database: Path, factor: int) -> int:
    """Have every run ``factor`` times, with all that was logged to it, and return how many there are."""
    connection = sqlite3.connect(database)
    for table in TABLES:
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        listed = ", ".join(names)
        for copy in range(1, factor):
            # 'g' is no hexadecimal digit: the ids stay different from those that are there.
            changed = listed.replace("run_uuid", f"'g{copy:02}' || substr(run_uuid, 4)")
            origin = f"FROM {table} WHERE run_uuid NOT LIKE 'g%'"
            connection.execute(f"INSERT INTO {table} ({listed}) SELECT {changed} {origin}")
    connection.commit()
    ((count,),) = connection.execute("SELECT count(*) FROM runs")
    connection.close()
    return int(count)


def measure(version: str, factor: int) -> str:
    """Upgrade a server of an old release, and return the figures as a row of a table."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "mlflow")
        database = root / "mlflow.db"
        root.mkdir()
        shutil.copy(seeded(version, SEEDED), database)
        runs = multiply(database, factor)
        site = Site.make(root, version, f"sqlite:///{database}")
        if site.systemctl("start", "mlflow.service") != 0:
            raise OSError((root / "server.log").read_text())
        try:
            started = time.monotonic()
            done = site.upgrade()
            took = time.monotonic() - started
            if not done.get("migrated"):
                raise OSError(str(done))
            size = database.stat().st_size / 1e6
            return f"| {version} | {runs} | {size:.0f} | {took:.1f} | {done['downtime']:.1f} |"
        finally:
            site.systemctl("stop", "mlflow.service")


def main() -> int:
    """Measure each old release with the data that was seeded, and ten times as much."""
    print(f"| from (to {NEW}) | runs | database after it, MB | upgrade, s | of that, the server away, s |")
    print("|---|---|---|---|---|")
    for version in OLD:
        for factor in (1, 10):
            print(measure(version, factor), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
