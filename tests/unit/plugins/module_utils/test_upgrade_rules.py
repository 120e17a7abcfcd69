"""Which databases can be brought to a release, and which have to be."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import upgrade_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from ansible_collections.selfhosted.mlflow.plugins.module_utils.upgrade_rules import Schema, Space, Store

MIB = 1024 * 1024
OLD, NEW = "mlflow-3.1.4-0123456789ab", "mlflow-3.17.2-ba9876543210"
NONE = Schema(frozenset(), "")
#: What 3.17.2 wants.
WANTED = {
    "tracking": Schema(frozenset(("a", "b", "c")), "c"),
    "registry": Schema(frozenset(("a", "b", "c")), "c"),
    "auth": Schema(frozenset((upgrade_rules.FIRST_AUTH_REVISION, "z")), "z"),
}


def store(revision: str | None, name: str = "tracking", size: int = 0, **counts: int) -> Store:
    return Store(name, "sqlite", revision, size, counts)


SCRIPTS = (
    'revision = "a"\ndown_revision = None\n',
    'import sqlalchemy as sa\nrevision = "b"\ndown_revision = "a"\nother = compute()\n',
    '"""A merge."""\nrevision = "c"\ndown_revision = ("b", "a")\n\ndef upgrade():\n    revision = "d"\n',
    "# __init__.py\n",
)


def test_the_scripts_tell_what_a_release_knows() -> None:
    assert upgrade_rules.schema(SCRIPTS) == Schema(frozenset(("a", "b", "c")), "c")
    assert upgrade_rules.schema(()) == NONE


def test_two_heads_are_not_guessed_between() -> None:
    with pytest.raises(ValueError, match="several revisions: b, d"):
        upgrade_rules.schema((*SCRIPTS[:2], 'revision = "d"\ndown_revision = "a"\n'))


STATUS = {
    "stores": {
        "tracking": {"engine": "sqlite", "revision": "b", "bytes": 5, "counts": {"runs": 3, "metrics": None}},
        "auth": {"engine": "sqlite", "revision": None, "bytes": 1, "counts": {"users": 2}},
    }
}


def test_status_is_read() -> None:
    auth, tracking = upgrade_rules.stores(STATUS)
    assert tracking == Store("tracking", "sqlite", "b", 5, {"runs": 3})
    # Releases before 3.6 did not note the accounts' revision.
    assert auth.revision == upgrade_rules.FIRST_AUTH_REVISION


def test_what_a_dump_would_fail_on_is_read() -> None:
    told = {"found": "there is no program pg_dump.", "why": "it dumps", "instead": "install it"}
    (found,) = upgrade_rules.stores({"stores": {"tracking": {"engine": "postgresql", "cannot_dump": told}}})
    assert found.cannot_dump == Problem("there is no program pg_dump", "it dumps", "install it")


@pytest.mark.parametrize("counts", [{}, {"users": 0}])
def test_accounts_that_are_not_there_have_no_revision(counts: dict[str, int]) -> None:
    found = upgrade_rules.stores({"stores": {"auth": {"engine": "sqlite", "revision": None, "counts": counts}}})
    assert found[0].revision is None


@pytest.mark.parametrize(
    ("found", "behind"),
    [
        pytest.param((store("c"),), [], id="as the release wants it"),
        pytest.param((store("a"),), ["tracking"], id="older"),
        pytest.param((store(None),), [], id="empty: the server makes it"),
        pytest.param((store("c"), store("8606fa83a998", "auth")), ["auth"], id="only the accounts"),
        pytest.param((store("c"), store("b", "registry")), ["registry"], id="a registry of its own"),
    ],
)
def test_what_is_behind(found: tuple[Store, ...], behind: list[str]) -> None:
    assert [one.name for one in upgrade_rules.behind(found, WANTED)] == behind


@pytest.mark.parametrize(("revision", "fits"), [("a", True), ("c", True), (None, True), ("x", False)])
def test_whether_a_release_could_run_with_what_is_there(revision: str | None, fits: bool) -> None:
    assert upgrade_rules.fits((store(revision), store("z", "auth")), WANTED) is fits


def test_a_release_that_is_not_built_yet_wants_nothing() -> None:
    nothing = dict.fromkeys(WANTED, NONE)
    assert upgrade_rules.behind((store("a"),), nothing) == []
    assert list(upgrade_rules.revision_problems((store("x"),), nothing, OLD, NEW, "/b")) == []


@pytest.mark.parametrize(
    ("release", "version"),
    [(NEW, "3.17.2"), ("mlflow-3.18.0rc1-0123456789ab", "3.18.0rc1"), ("by-hand", "by-hand")],
)
def test_the_version_of_a_release(release: str, version: str) -> None:
    assert upgrade_rules.version(release) == version


def problems(revision: str | None, source: str, target: str) -> str:
    found = upgrade_rules.revision_problems((store(revision),), WANTED, source, target, "/backups")
    return "\n".join(map(str, found))


def test_known_and_empty_schemas_are_fine() -> None:
    assert problems("a", OLD, NEW) == problems(None, OLD, NEW) == ""


def test_a_downgrade_is_refused_with_what_to_do() -> None:
    text = problems("x", NEW, OLD)
    assert "revision x, which MLflow 3.1.4 does not know, and 3.17.2 is in use" in text
    assert "leave mlflow_server_version at 3.17.2" in text
    assert "/backups" in text


@pytest.mark.parametrize("source", [OLD, NEW])
def test_a_schema_newer_than_the_code_is_refused(source: str) -> None:
    text = problems("x", source, NEW)
    assert "revision x, which MLflow 3.17.2 does not know" in text
    assert "newest release that has used this database" in text


def test_versions_are_compared_as_numbers() -> None:
    assert "in use" not in problems("x", "mlflow-3.9.0-0123456789ab", "mlflow-3.10.0-0123456789ab")
    assert "in use" in problems("x", "mlflow-3.10.0-0123456789ab", "mlflow-3.9.0-0123456789ab")


def space(backups: int, beside: int) -> list[str]:
    found = (store("a", size=100 * MIB), store("a", "auth", MIB))
    given = {"tracking": Space("/var/lib/mlflow/backend", beside * MIB)}
    return [problem.found for problem in upgrade_rules.space_problems(found, Space("/b", backups * MIB), given)]


def test_space_for_the_dump_the_way_back_and_the_migration() -> None:
    assert space(266, 264) == []
    assert space(265, 264) == ["/b has 265 MiB free, and 266 MiB are needed"]
    assert space(266, 263) == ["/var/lib/mlflow/backend has 263 MiB free, and 264 MiB are needed"]


def test_what_must_be_found_again() -> None:
    found = (store("a", runs=7, experiments=2, metrics=9), store("z", "auth", runs=100))
    before = upgrade_rules.counts(found)
    assert before == {"runs": 7, "experiments": 2}
    assert upgrade_rules.lost(before, {"runs": 8, "experiments": 2}) == ""
    assert upgrade_rules.lost(before, {"runs": 6}) == "0 of 2 experiments, 6 of 7 runs"


def test_the_diff_shows_release_and_schemas() -> None:
    found = (store("a"), store(None, "registry"))
    assert upgrade_rules.describe(OLD, found) == f"release: {OLD}\ntracking schema: a\nregistry schema: none yet\n"
    assert "tracking schema: c\n" in upgrade_rules.describe(NEW, found, WANTED)
    assert upgrade_rules.describe(None, ()) == "release: none\n"
