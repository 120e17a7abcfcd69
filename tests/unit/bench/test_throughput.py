"""In which order ways are measured, how the rows are told, and what a process takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from bench import throughput
from bench.processes import Took, Watch, cpu, peak_mb, tree
from bench.report import Run
from bench.throughput import Way, order
from bench.throughput_client import differences
from bench.throughput_lab import programs
from bench.throughput_report import Sample, report, rows, table

WAYS = [Way(name, 1, Path("/srv"), 1) for name in ("direct", "proxied", "s3")]


def taken(seconds: float, store: Took | None = None) -> Sample:
    return Sample(seconds, Took(0.5, 12.4), Took(1.25, 500.0), store)


def test_each_round_begins_with_another_way_and_every_second_one_runs_backwards() -> None:
    names = [[way.name for way in order(WAYS, number)] for number in range(3)]

    assert names == [["direct", "proxied", "s3"], ["direct", "s3", "proxied"], ["s3", "direct", "proxied"]]


def test_rows_have_the_rounds_that_direct_has_too() -> None:
    samples = {
        ("log", "proxied"): [taken(4), taken(9), taken(1)],
        ("log", "direct"): [taken(2), taken(3)],
        ("fetch", "s3"): [taken(5)],
    }
    found = rows(samples, ["direct", "proxied", "s3"])

    assert [(row.what, row.way, row.ratios) for row in found] == [
        ("log", "direct", (1.0, 1.0)),
        ("log", "proxied", (2.0, 3.0)),
    ]


def test_table() -> None:
    samples = {
        ("log", "direct"): [taken(2), taken(3)],
        ("log", "s3"): [taken(4, Took(2, 60)), taken(9, Took(4, 50))],
    }
    lines = table(rows(samples, ["direct", "s3"])).splitlines()

    assert lines[2:] == [
        "| log | direct | 2 | 2.5 | 1.00 (1.00, 1.00) | 0.5 / 12 | 1.2 / 500 | none |",
        "| log | s3 | 2 | 6.5 | 2.50 (2.00, 3.00) | 0.5 / 12 | 1.2 / 500 | 3.0 / 60 |",
    ]
    told = report(Run("2026-11-22", 2, {"MLflow": "3.17.2"}), rows(samples, ["direct", "s3"]), "on one machine")
    assert told.startswith("# Ways to a store, on one machine\n")
    assert "Measured on 2026-11-22, with 2 cores" in told


def test_figures_of_proc() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 {ticks} {2 * ticks} {3 * ticks} {4 * ticks} 20 0 1 0 5 6"

    assert cpu(stat) == 10
    assert peak_mb("Name:\tx\nVmHWM:\t    1000 kB\nVmRSS:\t 5 kB\n") == pytest.approx(1.024)
    assert peak_mb("Name:\tkernel's\n") == 0


def test_a_watch_counts_descendants_and_what_comes_after() -> None:
    """A child of a child, which holds 50 MB and uses CPU when it is told to."""
    work = "import sys; sys.stdin.readline(); x = b'x' * 50_000_000; sum(range(10_000_000)); print('did', flush=True); "
    outer = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen(
        [sys.executable, "-c", outer, work + "sys.stdin.readline()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write("begin\n")
        process.stdin.flush()
        assert process.stdout.readline() == "did\n"
        assert len(tree(process.pid)) == 2
        later = Watch(process.pid)
        took = later.took()
        whole = sum(cpu(Path(f"/proc/{each}/stat").read_text()) for each in tree(process.pid))
        process.stdin.write("end\n")
        process.stdin.flush()

    assert took.peak_mb > 50
    assert took.cpu < whole


def test_differences(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for place in (one, other):
        place.mkdir()
        (place / "same").write_text("same")
        (place / "file").write_text(f"of {place.name:>9}")
    (one / "gone").touch()

    assert differences(one, other) == ["file", "gone"]
    assert differences(one / "same", other / "same") == []
    assert differences(one / "file", other / "file") == ["file"]


def test_something_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "CACHE", tmp_path)
    write = "import pathlib, sys; place = pathlib.Path(sys.argv[1]); place.mkdir(); print(place, file=(place / 'x').open('x'))"
    for _each in range(2):
        place = throughput.once("tool", [sys.executable, "-c", write, tmp_path / "tool"])
    with pytest.raises(subprocess.CalledProcessError):
        throughput.once("broken", [sys.executable, "-c", "raise SystemExit(1)"])

    assert (place / "x").exists()
    assert not (tmp_path / "broken.done").exists()


def test_what_is_packed_runs_by_itself(tmp_path: Path) -> None:
    """On the host there is nothing else of this repository."""
    archive = tmp_path / "programs.tar.gz"
    programs(archive)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    command = [sys.executable, "-m", "bench.throughput", "--help"]
    ran = subprocess.run(
        command, cwd=tmp_path / "throughput", env={"PYTHONPATH": "."}, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert "--nfs" in ran.stdout
