"""A server is stopped and its database copied, with nothing of the old one touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adoption, deployment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.adoption import AdoptionError


def make(path: Path, runs: int, *, wal: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    if wal:
        connection.execute("pragma journal_mode = wal")
    connection.execute("create table runs (run_uuid text)")
    connection.executemany("insert into runs values (?)", [(str(number),) for number in range(runs)])
    connection.commit()
    return connection


def test_copied_with_all_rows(tmp_path: Path) -> None:
    old, target = tmp_path / "old.db", tmp_path / "new.db"
    make(old, 3).close()
    before = old.read_bytes()

    copy = adoption.back_up(str(old), str(tmp_path / "kept"))
    adoption.put(copy, str(target), os.getuid(), os.getgid())

    assert adoption.counts(str(target)) == {"runs": 3}
    assert old.read_bytes() == before
    assert target.stat().st_mode & 0o777 == 0o600
    # Killed before that was recorded.
    adoption.put(copy, str(target), os.getuid(), os.getgid())


def test_what_only_the_journal_has_is_copied_too(tmp_path: Path) -> None:
    """As after a crash: a client that is killed leaves its write-ahead log behind."""
    old = tmp_path / "old.db"
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('pragma journal_mode = wal');"
        "c.execute('create table runs (a)'); c.execute('insert into runs values (1)'); c.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, old], check=True)
    assert (tmp_path / "old.db-wal").stat().st_size > 0

    copy = adoption.back_up(str(old), str(tmp_path / "kept"))

    assert adoption.counts(copy) == {"runs": 1}
    assert (tmp_path / "old.db-wal").exists()


def test_an_open_database_is_refused(tmp_path: Path) -> None:
    with closing(make(tmp_path / "old.db", 1)), pytest.raises(AdoptionError, match=f"process {os.getpid()} has"):
        adoption.back_up(str(tmp_path / "old.db"), str(tmp_path / "kept"))


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    make(old, 5000).close()
    content = bytearray(old.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    old.write_bytes(content)
    with pytest.raises(AdoptionError, match="is damaged"):
        adoption.back_up(str(old), str(tmp_path / "kept"))
    assert old.read_bytes() == bytes(content)


def test_no_database_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.db").write_text("notes about runs, which are in another file")
    with pytest.raises(AdoptionError, match="is damaged"):
        adoption.back_up(str(tmp_path / "old.db"), str(tmp_path / "kept"))


def test_another_database_is_never_replaced(tmp_path: Path) -> None:
    make(tmp_path / "old.db", 3).close()
    make(tmp_path / "new.db", 1).close()
    with pytest.raises(AdoptionError, match="there is a database already"):
        adoption.put(str(tmp_path / "old.db"), str(tmp_path / "new.db"), os.getuid(), os.getgid())
    assert adoption.counts(str(tmp_path / "new.db")) == {"runs": 1}


ASK = """
import sys
from ansible_collections.selfhosted.mlflow.plugins.module_utils import adoption
from ansible_collections.selfhosted.mlflow.plugins.module_utils.move_files import Owner
print(adoption.unreadable(sys.argv[1], Owner(int(sys.argv[2]), int(sys.argv[2])) if sys.argv[2:] else None))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="files belong to others")
def test_what_a_share_hides_from_root_is_told() -> None:
    """Root without its rights over others' files is as a file server takes it that squashes root."""
    squashed = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", sys.executable, "-c", ASK]

    def ask(*argv: object) -> str:
        return subprocess.check_output([*squashed, *map(str, argv)], text=True, env=environment).strip()

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory() as name:
        hidden = Path(name, "1", "artifacts")
        hidden.mkdir(parents=True)
        file = hidden / "model.pkl"
        file.touch(mode=0o640)
        for path in (name, file.parent.parent, file.parent, file):
            os.chown(path, 12345, 12345)
        assert ask(name) == name
        assert ask(name, 12345) == ""
        Path(name).chmod(0o755)
        assert ask(name) == str(file)
        assert ask(name, 54321) == str(file)
        file.chmod(0o644)
        assert ask(name) == ""


def test_too_little_room_for_the_copies_is_told(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with old.open("wb") as stream:
        # As large as half of what is free, without taking any of it.
        stream.truncate(shutil.disk_usage(tmp_path).free // 2)
    directories = [str(tmp_path / "kept"), str(tmp_path)]
    assert "is copied 2 times" in str(adoption.room_problem(str(old), directories))
    os.truncate(old, 4096)
    assert adoption.room_problem(str(old), directories) is None


def test_fewer_rows_are_told() -> None:
    assert adoption.missing({"runs": 3, "tags": 2}, {"runs": 2, "tags": 5}) == ["runs has 2 rows, it had 3"]
    assert adoption.missing({"runs": 3}, {"runs": 3, "spans": 9}) == []


PARENT = """
import subprocess, sys, time
# A worker that goes on when its parent is told to end, as gunicorn's does.
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
time.sleep(60)
"""


def test_workers_are_stopped_as_well() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as parent:
        deadline = time.monotonic() + 20
        children: list[int] = []
        while not children and time.monotonic() < deadline:
            children = [one.pid for one in deployment.processes().values() if one.parent == parent.pid]
        server = deployment.process(parent.pid)
        assert server is not None
        assert children

        adoption.terminate(server, deployment.processes, timeout=20)

        assert parent.wait(5) == -15
    assert children[0] not in deployment.processes()


def test_what_does_not_end_is_not_killed() -> None:
    script = "import signal, sys; signal.signal(15, signal.SIG_IGN); print('on', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == "on\n"
        server = deployment.process(stubborn.pid)
        assert server is not None
        with pytest.raises(AdoptionError, match=r"has not ended .* after SIGTERM"):
            adoption.terminate(server, deployment.processes, timeout=0.5)
        assert stubborn.poll() is None
        stubborn.communicate("")
