"""Programs of ours under another Python, which may hang."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import log_run_program, program

BARE = {"PATH": "/usr/bin:/bin", "SAID": "it"}


def run(text: str, seconds: float = 20, who: program.User | None = None) -> program.Ended:
    return program.run([sys.executable, "-I", "-", "an argument"], text, BARE, seconds, who)


def test_tells_how_it_ended() -> None:
    ended = run("import sys, os; print(sys.argv[1], os.environ['SAID'], os.getcwd()); sys.exit('bad')")

    assert ended == program.Ended(1, "an argument it /\n", "bad\n")


def test_gets_no_other_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "of the caller")

    assert "MLFLOW" not in run("import os; print(sorted(os.environ))").out


def test_keeps_the_end_of_what_it_says() -> None:
    ended = run("print('x' * 1000000 + 'end')")

    assert ended.out.endswith("xend\n")
    assert len(ended.out) <= 20000


def test_is_killed_with_its_children_when_it_is_late(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(note)!r}, "w").write(str(child.pid))
print("begun", flush=True)
time.sleep(60)
"""
    began = time.monotonic()
    with pytest.raises(program.TooSlowError, match="not done within 3 s") as caught:
        run(text, 3)

    assert caught.value.out == "begun\n"
    assert time.monotonic() - began < 15
    state = Path(f"/proc/{note.read_text()}/stat")
    for _attempt in range(100):
        # It has lost its parent, and waits for init to ask for its end.
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the child still lives")


def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        program.run(["/nowhere/python"], "", BARE, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as someone else")
def test_acts_as_someone_else() -> None:
    who = program.User("ann", 850, 851, (851, 852), "/home/ann")
    text = "import os; print(os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), oct(os.umask(0)))"

    ended = program.run(["/usr/bin/python3", "-I", "-"], text, BARE, 20, who, program.Manner(umask=0o007))

    assert ended.out == "850 850 851 [851, 852] 0o7\n", ended.err


def test_hands_on_the_open_files_it_is_told_to() -> None:
    reading, writing = os.pipe()
    text = f"import os; os.write({writing}, b'said')"
    assert program.run([sys.executable, "-I", "-"], text, BARE, 20).code == 1
    assert (
        program.run([sys.executable, "-I", "-"], text, BARE, 20, None, program.Manner(keep_open=(writing,))).code == 0
    )
    assert os.read(reading, 4) == b"said"
    os.close(reading)
    os.close(writing)


def test_users_are_looked_up() -> None:
    root = program.user("root")

    assert root is not None
    assert (root.uid, root.gid) == (0, 0)
    assert program.user("no-such-user") is None


def test_source_is_what_stands_in_the_file() -> None:
    assert program.source(log_run_program) == Path(str(log_run_program.__file__)).read_text(encoding="utf-8")
