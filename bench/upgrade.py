# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench-upgrade``: how long a server is away while it is upgraded with the data of 10,000 runs.

On this machine, by the sites of tests/integration/upgrade: real releases, real data, SQLite.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.databases import Database
from tests.integration.releases import NEWEST, OLD
from tests.integration.seeds import seeded_file
from tests.integration.upgrade.site import Site

SEEDED = 1000


def measure(version: str, factor: int) -> str:
    """Upgrade a server of an old release, and return the figures as a row of a table."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name, "mlflow")
        database = root / "mlflow.db"
        root.mkdir()
        shutil.copy(seeded_file(version, SEEDED * factor), database)
        site = Site.make(root, version, Database(f"sqlite:///{database}"))
        if site.systemctl("start", "mlflow.service") != 0:
            raise OSError((root / "server.log").read_text())
        try:
            started = time.monotonic()
            done = site.upgrade()
            took = time.monotonic() - started
            if not done.get("migrated"):
                raise OSError(str(done))
            size = database.stat().st_size / 1e6
            return f"| {version} | {SEEDED * factor} | {size:.0f} | {took:.1f} | {done['downtime']:.1f} |"
        finally:
            site.systemctl("stop", "mlflow.service")


def main() -> int:
    """Measure each old release with the data that was seeded, and ten times as much."""
    print(f"| from (to {NEWEST}) | runs | database after it, MB | upgrade, s | of that, the server away, s |")
    print("|---|---|---|---|---|")
    for version in OLD:
        for factor in (1, 10):
            print(measure(version, factor), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
