"""The locks that ship: for every Python, with every pin hashed, without addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import virtualenv
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store import PACKAGES
from tests.unit.roles.role_files import ROLES
from tools.locks import ANY_PYTHON, PYTHONS

INPUTS = sorted(ROLES.glob("*/files/locks/*.in"))
LOCKS = sorted(ROLES.glob("*/files/locks/*.txt"))


def names(path: Path) -> list[str]:
    if path.name in ANY_PYTHON:
        return [f"{path.stem}.txt"]
    return [f"{path.stem}-py{python}.txt" for python in PYTHONS]


def test_there_are_locks() -> None:
    assert len(LOCKS) > len(INPUTS) > 0


def test_each_input_is_locked_for_each_python() -> None:
    assert {path.with_name(name) for path in INPUTS for name in names(path)} == set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: f"{path.parts[-4]}-{path.stem}")
def test_lock(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    pins = virtualenv.pins(text)
    assert "://" not in text
    source = lock.with_name(re.sub(r"(-py3\.\d+)?\.txt$", ".in", lock.name)).read_text(encoding="utf-8")
    wanted = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)$", source, re.MULTILINE))
    assert wanted
    assert {name: pins[name] for name in wanted} == wanted


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if "-with-" in lock.name], ids=lambda path: path.stem)
def test_a_driver_moves_no_other_package(lock: Path) -> None:
    base = lock.with_name(re.sub(r"-with-\w+", "", lock.name))
    wanted = virtualenv.pins(base.read_text(encoding="utf-8"))
    pins = virtualenv.pins(lock.read_text(encoding="utf-8"))
    assert {name: pins.get(name) for name in wanted} == wanted
    driver = re.search(r"-with-(\w+)", lock.name)
    assert driver
    assert PACKAGES[driver[1]] in set(pins) - set(wanted)


@pytest.mark.parametrize(
    "lock", [lock for lock in LOCKS if re.match(r"mlflow-[23]\.", lock.name)], ids=lambda p: p.stem
)
def test_a_server_s_lock_has_the_drivers_and_what_runs_with_them(lock: Path) -> None:
    pins = virtualenv.pins(lock.read_text(encoding="utf-8"))
    assert {"psycopg", "psycopg-binary", "pymysql", "prometheus-flask-exporter", "flask-wtf"} <= set(pins)
    if pins["mlflow"] != "3.17.2":
        assert pins["sqlalchemy"].startswith("2.0.")
