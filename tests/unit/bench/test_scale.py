from __future__ import annotations

import pytest

from bench import scale
from bench.scale import Sample
from bench.usage import Usage
from lab.base import LabError

PLAY = """
TASK [Proof | Leave a sentinel on the server] **********************************
ok: [client-001 -> server(10.0.0.11)]

TASK [Proof | Prove the path as each user] *************************************
skipping: [server]
ok: [client-002]
ok: [client-001]

TASK [Proof | Read the replies on the server and remove everything] ************
ok: [client-001 -> server(10.0.0.11)]

host        user      verdict  class
----------  --------  -------  ---------------------
client-001  alice     proved   indirect_path (info)
    the path leads elsewhere
client-002  alice     {verdict}
server      (server)  fine     stored_in_root (info)
    stored in /mnt/mlflow: 1 experiment
ok: [client-001]

PLAY RECAP *********************************************************************
client-001                 : ok=12   changed=0    unreachable=0    failed=0    skipped=3    rescued=0    ignored=0
client-002                 : ok=7    changed=0    unreachable=0    failed=0    skipped=4    rescued=0    ignored=0
client-003                 : ok={third}    changed=0    unreachable=0    failed=0    skipped=4    rescued=0    ignored=0
server                     : ok=5    changed=0    unreachable=0    failed=0    skipped=5    rescued=0    ignored=0
"""
PONG = '    "ping": "pong"\n'


def usage(output: str = "", seconds: float = 1, largest_mb: float = 100) -> Usage:
    return Usage(0, output, seconds, largest_mb)


def play(verdict: str = "proved", third: int = 7) -> str:
    return PLAY.replace("{verdict}", verdict).replace("{third}", str(third))


def test_a_proof_is_read_from_what_is_said() -> None:
    found = scale.judge(2, usage(play()), usage(3 * PONG))

    assert (found.server_tasks, found.client_tasks) == (2, "11 tasks, 4 of them skipped")


@pytest.mark.parametrize(
    ("clients", "output", "pongs", "why"),
    [
        (2, play("NOT PROVED  missing (error)"), 3, "proved 1 of 2 clients"),
        (2, play("proved, with a warning  ids_differ (warning)"), 3, "proved 1 of 2 clients"),
        (2, play(), 2, "2 of 3 hosts answered"),
        (3, play().replace("server      (", "client-003  alice     proved\nserver      ("), 4, ""),
        (3, play(third=8).replace("server      (", "client-003  alice     proved\nserver      ("), 4, "alike"),
    ],
)
def test_what_is_not_a_whole_proof_of_all_is_refused(clients: int, output: str, pongs: int, why: str) -> None:
    if not why:
        scale.judge(clients, usage(output), usage(pongs * PONG))
        return
    with pytest.raises(LabError, match=why):
        scale.judge(clients, usage(output), usage(pongs * PONG))


def sample(server_tasks: int, ours: float = 3, ping: float = 1) -> Sample:
    return Sample(usage(seconds=ours, largest_mb=150), usage(seconds=ping, largest_mb=90), server_tasks, "9 tasks")


@pytest.mark.parametrize("tasks", [(3, 4), (0, 0)])
def test_tasks_on_the_server_that_grow_with_the_clients_are_refused(tasks: tuple[int, int]) -> None:
    with pytest.raises(LabError, match=rf"not constant .*: \[{tasks[0]}\] for 1, \[{tasks[1]}\] for 10"):
        scale.check_constant({1: [sample(tasks[0])], 10: [sample(tasks[1])]})


def test_each_number_of_clients_is_a_measure_of_its_own() -> None:
    one, ten = scale.measures({1: [sample(3, 8, 2)], 10: [sample(3, 12, 6), sample(3, 15, 5)]}, "1 to each client")

    assert (one.name, one.ratio, one.verdict) == ("scale_1", 4, "missed")
    assert (ten.name, ten.ratio, ten.verdict) == ("scale_10", 2.5, "met")
    assert ten.details == {
        "tasks on the server": 3,
        "calls of ssh": "1 to each client",
        "memory of the controller's largest process, verify.yml, MB": 150,
        "memory of the controller's largest process, ping, MB": 90,
        "each client": "9 tasks",
    }


def test_clients_have_names_of_one_length() -> None:
    assert scale.names(2) == ["client-001", "client-002"]
    assert len(set(map(len, scale.names(300)))) == 1
