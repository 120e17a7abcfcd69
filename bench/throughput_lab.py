# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench-stores``: the ways to a store with real NFS, on two hosts of the lab.

One host exports the share, and has an S3 server. On the other one, which has mounted the share and on which site.yml has
installed the release, bench/throughput.py measures.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from bench.hosts import ROOT, SITE, Hosts
from bench.throughput import BOTO, KEYS, gateway_program
from lab.base import LabError, Progress, write_atomically

NAS, SERVER = "nas", "solo"
SHARE, ROOT_OF_ARTIFACTS = f"{NAS}:/srv/mlflow", "/mnt/mlflow"
RECORD = ROOT / "bench/throughput-nfs"
S3_PORT = 7070
#: There each small file takes some 0.1 s on each way: 10,000 would take two hours.
LESS = ("--files", "1000", "--rounds", "1")
SECONDS = 3 * 3600
MAPPINGS = 1 << 20


def programs(archive: Path) -> None:
    """Pack what runs on the host."""
    with tarfile.open(archive, "w:gz") as packed:
        for package, name in (("bench", "bench"), ("molecule/lab", "lab")):
            for file in sorted((ROOT / package).glob("*.py")):
                packed.add(file, f"throughput/{name}/{file.name}")


def deploy(hosts: Hosts, gateway: Path) -> None:
    """Have the share, the release and the programs on the hosts."""
    hosts.up(NAS, SERVER)
    for name in (NAS, SERVER):
        hosts.refresh(name)
    settings = {
        "mlflow_nfs_share": SHARE,
        "mlflow_artifact_root": ROOT_OF_ARTIFACTS,
        "mlflow_server_extra_packages": [BOTO],
    }
    inventory = hosts.inventory({"mlflow_nfs_server": [NAS], "mlflow_server": [SERVER]}, settings)
    hosts.play(SITE, inventory)
    archive = hosts.lab.directory / "throughput.tar.gz"
    programs(archive)
    given = {
        "bench_programs": str(archive),
        "bench_gateway": str(gateway),
        "bench_port": S3_PORT,
        "bench_key": KEYS["AWS_ACCESS_KEY_ID"],
        "bench_secret": KEYS["AWS_SECRET_ACCESS_KEY"],
    }
    hosts.play(ROOT / "bench/throughput.yml", inventory, "--extra-vars", json.dumps(given))


@contextmanager
def many_mappings() -> Iterator[None]:
    """Let a process on a host of user-mode Linux hold a gigabyte in single pages.

    Each may be a mapping of this machine's (sysctl vm.max_map_count, whose default is 65530), and without one left the
    process is killed.
    """
    setting = Path("/proc/sys/vm/max_map_count")
    before = setting.read_text()
    setting.write_text(str(max(int(before), MAPPINGS)))
    try:
        yield
    finally:
        setting.write_text(before)


def measure(hosts: Hosts, arguments: Sequence[str]) -> None:
    """Measure on the host, and bring what it recorded here."""
    python = "/opt/mlflow/current/bin/python"
    where = "with NFS, on hosts of user-mode Linux"
    command = (
        "cd /var/tmp/throughput && setpriv --reuid mlflow --regid mlflow --init-groups env PYTHONPATH=. "
        f"{python} -m bench.throughput --python {python} --nfs {ROOT_OF_ARTIFACTS} "
        f"--s3 http://{hosts.address(NAS)}:{S3_PORT} --record record --where '{where}' {' '.join(arguments)}"
    )
    print(hosts.execute(SERVER, command, seconds=SECONDS), flush=True)
    for suffix in (".md", ".json"):
        write_atomically(
            RECORD.with_suffix(suffix), hosts.execute(SERVER, f"cat /var/tmp/throughput/record{suffix}"), mode=0o644
        )


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("bench: told to end")


def main(arguments: Sequence[str]) -> int:
    """Deploy, measure with these arguments of bench.throughput, record, and remove the hosts."""
    signal.signal(signal.SIGTERM, _end)
    gateway = gateway_program()
    if gateway is None:
        print("bench: failed: there is no Go here to build an S3 server with")
        return 1
    hosts = Hosts(Progress("bench"))
    try:
        hosts.down()  # what a run that was killed may have left
        deploy(hosts, gateway)
        with many_mappings():
            measure(hosts, [*LESS, *arguments])
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"bench: failed: {error}")
        return 1
    finally:
        hosts.down()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
