# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench-stores``: how fast artifacts come and go by each way to a store, and what that takes.

Client, server and S3 are on this machine: a client of the newest release logs one large file and many small ones, and
fetches them again, by each way in turns.  A directory stands in for NFS unless ``--nfs`` names one of a share, as
bench/throughput_lab.py does.  S3 is Versity's gateway before a directory; it is left out where there is no Go to build it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from bench.processes import Took, Watch
from bench.report import SCHEMA, Run
from bench.stores import serving
from bench.throughput_report import Row, Sample, report, rows
from lab import databases
from lab.base import write_atomically

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache/bench"
RELEASE = "3.17.2"
LOCK = HERE.parent / "roles/mlflow_server/files/locks" / f"mlflow-{RELEASE}-py3.{sys.version_info[1]}.txt"
BOTO = "boto3==1.44.5"
GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "of-the-bench", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "bench"
CLIENT_SECONDS = 3600
START_SECONDS = 30
_MB = 1_000_000


@dataclass(frozen=True)
class Way:
    """A way to a store.

    :ivar files: where artifacts end up, or None: in a bucket that has its files on another host.
    :ivar server: the process to watch; and ``store``, or 0 where none is on this host.
    :ivar bucket: the address of S3.
    :ivar location: what the client asks for, '' for the server's.
    """

    name: str
    port: int
    files: Path | None
    server: int
    store: int = 0
    bucket: str = ""
    location: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


def once(name: str, *commands: Sequence[str | Path]) -> Path:
    """Return a directory of the cache, made by the commands where that has not been done yet."""
    place, done = CACHE / name, CACHE / f"{name}.done"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        for command in commands:
            subprocess.run([*map(str, command)], check=True, env={**os.environ, "GOBIN": str(place)})
        done.touch()
    return place


def environment() -> Path:
    """Return the interpreter of a virtual environment with the release and boto3."""
    uv, place = Path(sys.executable).with_name("uv"), CACHE / f"mlflow-{RELEASE}"
    python = place / "bin/python"
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    once(
        place.name,
        [uv, "venv", "--quiet", "--python", sys.executable, place],
        [*install, "--require-hashes", "--requirements", LOCK],
        [*install, BOTO],
        [python, "-m", "compileall", "-q", place / "lib"],
    )
    return python


def versions(python: Path) -> dict[str, str]:
    """Return what is measured, by name."""
    script = "import sys, mlflow, boto3; print(mlflow.__version__, sys.version.split()[0], boto3.__version__)"
    told = subprocess.run([python, "-Ic", script], check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(("MLflow", "Python", "boto3", "versitygw"), (*told, GATEWAY.rpartition("@v")[2]), strict=True))


def client(way: Way, python: Path, *arguments: str | Path) -> tuple[dict[str, Any], Sample]:
    """Run the client, and return what it says, and what it, the server and the store took.

    :raises subprocess.SubprocessError: it failed, or took too long.
    """
    settings = {
        "PATH": os.defpath,
        "HOME": str(CACHE),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{way.port}",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "DO_NOT_TRACK": "1",
        **way.settings,
    }
    os.sync()
    server, store = Watch(way.server), Watch(way.store) if way.store else None
    # Without the directory of this program, whose modules are named as some of the library.
    command = [str(python), "-I", str(HERE / "throughput_client.py"), *map(str, arguments)]
    ran = subprocess.run(command, check=False, env=settings, capture_output=True, text=True, timeout=CLIENT_SECONDS)
    if ran.returncode:
        raise subprocess.SubprocessError(f"{way.name}: {' '.join(command)}\n{ran.stderr[-2000:]}")
    said = json.loads(ran.stdout.splitlines()[-1])
    itself = Took(said["cpu"], said["peak_mb"] - said["rest_mb"])
    return said, Sample(said["seconds"], itself, server.took(), store.took() if store else None)


def s3(python: Path, url: str, expression: str) -> str:
    """Return what an expression with S3's ``client`` and ``bucket`` gives."""
    script = (
        f"import boto3; of = {{'endpoint_url': {url!r}}}; client = boto3.client('s3', **of); "
        f"bucket = boto3.resource('s3', **of).Bucket({BUCKET!r}); print({expression})"
    )
    ran = subprocess.run([python, "-Ic", script], env=KEYS, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


def arrived(way: Way, python: Path) -> int:
    """Count the files that a way has stored."""
    if way.bucket:
        return int(s3(python, way.bucket, "sum(1 for each in bucket.objects.all())"))
    return sum(1 for path in way.files.rglob("*") if path.is_file()) if way.files else 0


def clear(way: Way, python: Path) -> None:
    """Remove all that a way has stored."""
    if way.bucket:
        s3(python, way.bucket, "bucket.objects.all().delete() and None")
    elif way.files:
        for path in way.files.iterdir():
            shutil.rmtree(path)


def forget(place: Path) -> None:
    """Have the machine read these files anew, from the disk or share that they are on."""
    os.sync()
    for path in place.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def there_and_back(way: Way, python: Path, source: Path, scratch: Path) -> tuple[Sample, Sample]:
    """Log a file or directory by one way and fetch it again, and leave nothing behind.

    :raises ValueError: it is not where it was to end up.
    """
    target = scratch / "fetched"
    target.mkdir()
    said, logged = client(way, python, "log", way.location, source)
    wanted, found = 1 if source.is_file() else sum(1 for _each in source.iterdir()), arrived(way, python)
    if found < wanted:
        raise ValueError(f"{way.name}: {found} files arrived of {wanted}")
    if way.files:
        forget(way.files)
    _said, fetched = client(way, python, "fetch", said["run"], source, target)
    shutil.rmtree(target)
    clear(way, python)
    return logged, fetched


def make_files(scratch: Path, megabytes: int, count: int, kilobytes: int) -> tuple[Path, Path]:
    """Make a large file, and a directory of small ones; what is in them can't be compressed."""
    one, many = scratch / "one.bin", scratch / "many"
    many.mkdir()
    with one.open("wb") as stream:
        for _each in range(megabytes):
            stream.write(os.urandom(_MB))
    for number in range(count):
        (many / f"{number:06}.bin").write_bytes(os.urandom(kilobytes * 1000))
    return one, many


def gateway_program() -> Path | None:
    """Return the S3 server, built where that has not been done yet, or None without a Go to build it."""
    name = f"versitygw-{GATEWAY.rpartition('@v')[2]}"
    if not (shutil.which("go") or (CACHE / f"{name}.done").exists()):
        return None
    # Without C, so that it runs on hosts with another library of it.
    return once(name, ["env", "CGO_ENABLED=0", "go", "install", GATEWAY]) / "versitygw"


@contextmanager
def gateway(program: Path, scratch: Path) -> Iterator[tuple[str, int, Path]]:
    """Run an S3 server; yield its address, its process and where its bucket's files are."""
    port, data = databases.free_port(), scratch / "s3"
    data.mkdir()
    root = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    with (scratch / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--port", f"127.0.0.1:{port}", "posix", str(data)], env=root, stdout=log, stderr=log
        )
        try:
            yield f"http://127.0.0.1:{port}", process.pid, data / BUCKET
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def have_bucket(python: Path, url: str) -> None:
    """Make the bucket, as soon as S3 answers.

    :raises subprocess.CalledProcessError: it doesn't in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            s3(python, url, f"bucket.creation_date or client.create_bucket(Bucket={BUCKET!r})")
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
        else:
            return


def ways(stack: ExitStack, scratch: Path, python: Path, nfs: Path | None, address: str) -> list[Way]:
    """Start all servers, and return the ways by them; the first is what the others are compared with.

    :param scratch: a directory of a disk.
    :param nfs: a directory of a share, which a directory of the disk stands in for.
    :param address: S3's; '' to run one here.
    """

    def server(name: str, settings: Mapping[str, str]) -> tuple[int, int]:
        uri = f"sqlite:///{scratch}/{name}.db"
        side = stack.enter_context(serving(python, name, {"MLFLOW_BACKEND_STORE_URI": uri, **settings}))
        return side.port, side.process

    where, place = ("NFS", nfs) if nfs else ("a directory", scratch)
    shared, behind = place / "shared", place / "behind"
    shared.mkdir()
    behind.mkdir()
    port, process = server("local", {"MLFLOW_ARTIFACTS_DESTINATION": str(behind)})
    found = [
        Way(f"direct to {where}", port, shared, process, location=f"{shared}/bench"),
        Way(f"proxied to {where}", port, behind, process),
    ]
    url, store, files = address, 0, None
    if not address:
        program = gateway_program()
        if program is None:
            print("S3 is skipped: there is no Go here to build its server with", flush=True)
            return found
        url, store, files = stack.enter_context(gateway(program, scratch))
    have_bucket(python, url)
    through = {"MLFLOW_ARTIFACTS_DESTINATION": f"s3://{BUCKET}", "MLFLOW_S3_ENDPOINT_URL": url, **KEYS}
    port, process = server("s3", through)
    for name, multipart in (("proxied to S3", "false"), ("proxied to S3, multipart", "true")):
        settings = {f"MLFLOW_ENABLE_PROXY_MULTIPART_{way}": multipart for way in ("UPLOAD", "DOWNLOAD")}
        found.append(Way(name, port, files, process, store, url, settings=settings))
    return found


def order(found: Sequence[Way], number: int) -> list[Way]:
    """Return the ways as one round takes them: each begins with another one, every second one runs backwards."""
    start = number % len(found)
    turned = [*found[start:], *found[:start]]
    return turned[::-1] if number % 2 else turned


def measure(
    found: Sequence[Way], python: Path, sources: Mapping[str, tuple[Path, int]], scratch: Path
) -> Iterator[list[Row]]:
    """Carry everything out, each source in so many rounds, and yield the rows so far after each way."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    for what, (source, rounds) in sources.items():
        for number in range(rounds):
            for way in order(found, number):
                for verb, one in zip(("log", "fetch"), there_and_back(way, python, source, scratch), strict=True):
                    samples.setdefault((f"{verb} {what}", way.name), []).append(one)
                    print(f"{number + 1}. {verb} {what}, {way.name}: {one.seconds:.1f} s", flush=True)
                yield rows(samples, [one.name for one in found])


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit("bench: told to end")


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="selfhosted-mlflow-bench-", dir=directory))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def main(arguments: Sequence[str]) -> int:
    """Measure, show the table, and record what there is after each way: a run takes long."""
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser(prog="bench.throughput", description="Measure the ways to a store of artifacts.")
    parser.add_argument("--megabytes", type=int, default=1000, help="of the one large file (of 10^6 bytes)")
    parser.add_argument("--files", type=int, default=10000, help="how many small files")
    parser.add_argument("--kilobytes", type=int, default=10, help="of each small file (of 10^3 bytes)")
    parser.add_argument("--rounds", type=int, default=3, help="of the large file")
    parser.add_argument("--rounds-of-many", type=int, default=1, help="of the small files, which take the longest")
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp"), help="where artifacts are, on a disk")
    parser.add_argument("--nfs", type=Path, help="a directory of an NFS share, in place of one on that disk")
    parser.add_argument("--python", type=Path, help="the interpreter of a release with boto3, instead of a new one")
    parser.add_argument("--s3", default="", help="the address of S3 on another host, instead of one that is run here")
    parser.add_argument("--where", default="on one machine", help="the title's end")
    parser.add_argument("--record", type=Path, help="the name without suffix of the .md and .json to write")
    options = parser.parse_args(arguments)
    python: Path = options.python or environment()
    run = Run(datetime.datetime.now(tz=datetime.UTC).date().isoformat(), os.cpu_count() or 1, versions(python))
    found: list[Row] = []
    with ExitStack() as stack:
        scratch = stack.enter_context(_scratch(options.directory))
        nfs = stack.enter_context(_scratch(options.nfs)) if options.nfs else None
        one, many = make_files(scratch, options.megabytes, options.files, options.kilobytes)
        sources = {
            f"one file of {options.megabytes} MB": (one, options.rounds),
            f"{options.files} files of {options.kilobytes} kB": (many, options.rounds_of_many),
        }
        for found in measure(ways(stack, scratch, python, nfs, options.s3), python, sources, scratch):
            if options.record:
                content = {"schema": SCHEMA, **asdict(run), "rows": [*map(asdict, found)]}
                write_atomically(options.record.with_suffix(".md"), report(run, found, options.where), mode=0o644)
                write_atomically(options.record.with_suffix(".json"), json.dumps(content, indent=1) + "\n", mode=0o644)
    print(f"\n{report(run, found, options.where)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
