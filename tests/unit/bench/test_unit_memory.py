from __future__ import annotations

from pathlib import Path

from bench.unit_memory import rollups, total

ROLLUP = """00400000-7ffe1c5f2000 ---p 00000000 00:00 0                              [rollup]
Rss:              {rss} kB
Pss:              {pss} kB
Pss_Dirty:          7777 kB
Shared_Clean:       1000 kB
"""


def test_the_memory_of_all_processes_is_added_up() -> None:
    texts = [ROLLUP.format(rss=3000, pss=2000), ROLLUP.format(rss=300, pss=200)]
    assert total(texts) == {"processes": 2, "rss": 3300, "pss": 2200}


def test_processes_below_the_unit_count_and_those_that_ended_do_not(tmp_path: Path) -> None:
    cgroup, proc = tmp_path / "mlflow.service", tmp_path / "proc"
    for group, processes in (("", "1\n2\n"), ("worker", "3\n")):
        (cgroup / group).mkdir()
        (cgroup / group / "cgroup.procs").write_text(processes)
    for process in ("1", "3"):
        (proc / process).mkdir(parents=True)
        (proc / process / "smaps_rollup").write_text(ROLLUP.format(rss=10, pss=5))
    assert total(rollups(cgroup, proc)) == {"processes": 2, "rss": 20, "pss": 10}
