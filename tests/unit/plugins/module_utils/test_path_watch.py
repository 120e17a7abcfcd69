"""Waiting for probes that may never come back."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_watch
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Child, Tell
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_watch import FileServer, Limits, Probe


def entry(fstype: str, source: str, *options: str) -> MountEntry:
    return MountEntry(1, 0, "0:40", "/", "/mnt", ("rw",), fstype, source, options)


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (None, None),
        (entry("ext4", "/dev/sda"), None),
        (entry("nfs4", "nas:/srv", "vers=4.2", "proto=tcp", "addr=10.0.0.1"), FileServer("10.0.0.1", 2049, True)),
        (entry("nfs", "nas:/srv", "vers=3", "proto=tcp", "addr=10.0.0.1", "port=0"), FileServer("10.0.0.1")),
        (entry("nfs", "nas:/srv", "vers=3", "port=2050"), FileServer("nas", 2050)),
        (entry("nfs", "nas:/srv", "vers=4.1"), FileServer("nas", 2049, True)),
        (entry("nfs", "nas:/srv", "vers=3", "proto=udp"), None),
        (entry("nfs", "[fd00::1]:/srv", "proto=tcp6"), FileServer("fd00::1")),
        (entry("nfs", "what is this"), None),
    ],
)
def test_file_server_is_read_from_the_mount(mount: MountEntry | None, expected: FileServer | None) -> None:
    assert path_watch.file_server(mount) == expected


@pytest.fixture
def listening() -> Iterator[FileServer]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield FileServer("127.0.0.1", server.getsockname()[1], has_grace=True)


@pytest.fixture
def closed() -> FileServer:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return FileServer("127.0.0.1", port, has_grace=True)


def test_ports_are_told_apart(listening: FileServer, closed: FileServer) -> None:
    assert path_watch.port_state(listening) == path_watch.OPEN
    assert path_watch.port_state(closed) == path_watch.REFUSED
    assert path_watch.port_state(FileServer("no-such-host.invalid")) in (
        path_watch.UNKNOWN_NAME,
        path_watch.UNANSWERED,
    )


def quick(tell: Tell) -> None:
    tell({"step": "stat"})
    tell({"mode": 7})


def hanging(tell: Tell) -> None:
    tell({"step": "statvfs", "answered": ["stat"]})
    time.sleep(60)


def late(tell: Tell) -> None:
    tell({"step": "sentinel", "answered": ["stat", "statvfs"]})
    time.sleep(2)
    tell({"replied": True})


def test_what_has_ended_is_told_without_waiting() -> None:
    began = time.monotonic()
    assert path_watch.follow([Probe(Child(quick))], Limits(20)) == [{"mode": 7}]
    assert time.monotonic() - began < 2


def test_a_closed_port_ends_the_wait_early(closed: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_watch, "PATIENCE", 0.2)
    began = time.monotonic()

    (seen,) = path_watch.follow([Probe(Child(hanging), closed)], Limits(30, 100))

    assert time.monotonic() - began < 10
    assert (seen["silence"]["port"], seen["silence"]["step"]) == (path_watch.REFUSED, "statvfs")
    assert seen["silence"]["answered"] == ("stat",)


def test_an_open_port_is_waited_for_until_the_timeout(listening: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_watch, "PATIENCE", 0.1)
    began = time.monotonic()

    (seen,) = path_watch.follow([Probe(Child(hanging), listening)], Limits(1.0, 100))

    assert 1.0 <= time.monotonic() - began < 10
    assert seen["silence"]["port"] == path_watch.OPEN


def test_a_server_that_answers_some_calls_is_given_its_grace(
    listening: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(path_watch, "PATIENCE", 0.1)

    (seen,) = path_watch.follow([Probe(Child(late), listening)], Limits(0.5, 30))

    assert seen["replied"]
    assert seen["waited"] >= 1.5


def test_twenty_hang_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_watch, "PATIENCE", 0.1)
    began = time.monotonic()

    seen = path_watch.follow([Probe(Child(hanging)) for _number in range(20)], Limits(1.0))

    assert all("silence" in one for one in seen)
    assert time.monotonic() - began < 15


def test_a_probe_that_dies_or_fails_elsewhere_is_a_failure_of_its_step() -> None:
    def dies(tell: Tell) -> None:
        tell({"step": "fsync"})
        os.kill(os.getpid(), 9)

    def fails(tell: Tell) -> None:
        tell({"step": "stat"})
        os.stat("/nowhere")

    seen = path_watch.follow([Probe(Child(dies)), Probe(Child(fails))], Limits(10))

    assert seen[0]["failure"]["step"] == "fsync"
    assert (seen[1]["failure"]["step"], seen[1]["failure"]["error"]) == ("stat", "ENOENT")
