"""What is done to a directory, and what never is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import directory_plan, posix_acl
from ansible_collections.selfhosted.mlflow.plugins.module_utils.directory_plan import Found, Plan, Wanted

ROOT = "/srv/mlflow/artifacts"
ACL = posix_acl.encode(posix_acl.SHARED)
STATE = Wanted("/var/lib/mlflow", 850, 850, 0o750)
SHARED = Wanted(ROOT, 850, 851, 0o2770, shared=True)
MOUNTED = replace(SHARED, mounted=True)
MISSING = Found("missing")
MINE = Found("directory", 850, 850, 0o750, empty=False)
THEIRS = Found("directory", 1000, 1000, 0o755, empty=False)
ON_NAS = Found(
    "directory", 850, 851, 0o2770, empty=False, network=True, mount_point=ROOT, source="nas:/srv/mlflow", writable=True
)


def steps(plan: Plan) -> str:
    named = {"make": plan.make, "chown": plan.chown, "chmod": plan.chmod, "acl": plan.acl}
    return " ".join(name for name, wanted in named.items() if wanted)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (STATE, MISSING, "make"),
        (STATE, MINE, ""),
        (STATE, replace(MINE, mode=0o755), "chmod"),
        (STATE, replace(MINE, gid=0), "chown"),
        (STATE, replace(THEIRS, empty=True), "chown chmod"),
        (SHARED, MISSING, "make acl"),
        (SHARED, replace(MINE, gid=851, mode=0o2770, acl=b""), "acl"),
        (SHARED, replace(MINE, gid=851, mode=0o2770, acl=ACL), ""),
        (MOUNTED, ON_NAS, ""),
        (MOUNTED, replace(ON_NAS, kind="missing"), "make"),
        (MOUNTED, replace(ON_NAS, mode=0o700), "chmod"),
        (MOUNTED, replace(ON_NAS, gid=850), "chown"),
    ],
)
def test_does_only_what_is_needed(wanted: Wanted, found: Found, expected: str) -> None:
    plan = directory_plan.plan(wanted, found, check_mode=False)
    assert (plan.problem, steps(plan)) == (None, expected)
    assert plan.changes is bool(expected)
    assert directory_plan.plan(wanted, found, check_mode=True) == plan


@pytest.mark.parametrize(
    ("wanted", "found", "text"),
    [
        (STATE, THEIRS, "belongs to 1000:1000 (mode 0755) and is not empty"),
        (STATE, replace(THEIRS, uid=0, gid=0), "belongs to 0:0"),
        (SHARED, Found("symlink", obstacle="/srv/mlflow"), "/srv/mlflow is a symbolic link"),
        (SHARED, Found("other", obstacle=ROOT), f"{ROOT} is no directory"),
        (MOUNTED, replace(ON_NAS, uid=0, gid=0, writable=False), "belongs to 0:0"),
    ],
)
def test_never_takes_what_is_anothers(wanted: Wanted, found: Found, text: str) -> None:
    for check_mode in (True, False):
        plan = directory_plan.plan(wanted, found, check_mode)
        assert plan.problem is not None
        assert text in plan.problem.found
        assert not plan.changes


def test_nothing_is_made_beneath_an_absent_mount() -> None:
    for found in (MISSING, Found("directory", 0, 0, 0)):
        plan = directory_plan.plan(MOUNTED, found, check_mode=False)
        assert plan.problem is not None
        assert "not on the share" in plan.problem.found
        assert directory_plan.plan(MOUNTED, found, check_mode=True) == Plan(ROOT)


def test_a_server_that_maps_users_is_believed() -> None:
    plan = directory_plan.plan(MOUNTED, replace(ON_NAS, uid=1024, gid=100, mode=0o777), check_mode=False)
    assert (plan.problem, plan.changes) == (None, False)
    assert "belongs to 1024:100 on nas:/srv/mlflow" in plan.warning


def test_a_file_system_without_acls_is_warned_about() -> None:
    plan = directory_plan.plan(SHARED, replace(MINE, gid=851, mode=0o2770, acl=None), check_mode=False)
    assert not plan.changes
    assert "umask 002" in plan.warning


@pytest.mark.parametrize(
    ("path", "mount_point", "command"),
    [
        (ROOT, ROOT, "on nas, as root, 'chown 850:851 /srv/mlflow && chmod 2770 /srv/mlflow'"),
        (f"{ROOT}/a", ROOT, "on nas, as root, 'chown 850:851 /srv/mlflow/a && chmod 2770 /srv/mlflow/a'"),
    ],
)
def test_the_remedy_names_the_nas_and_its_path(path: str, mount_point: str, command: str) -> None:
    found = replace(ON_NAS, uid=0, mount_point=mount_point)
    assert command in directory_plan.remedy(replace(MOUNTED, path=path), found)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ((replace(SHARED, path="data"),), "not an absolute path"),
        ((replace(SHARED, path="~/data"),), "not an absolute path"),
        ((replace(SHARED, path="file:///srv/x"),), "not an absolute path"),
        ((replace(SHARED, path="/srv/a/../b"),), "plain form"),
        ((replace(SHARED, path="/"),), "system's own"),
        ((replace(STATE, path="/var/lib"),), "system's own"),
        ((STATE, replace(SHARED, path="/var/lib/mlflow/artifacts")), "contain each other"),
        ((STATE, replace(SHARED, path="/var/lib/mlflow")), "contain each other"),
        ((replace(STATE, path="/srv/mlflow/artifacts/state"), SHARED), "contain each other"),
    ],
)
def test_refuses_paths(wanted: tuple[Wanted, ...], text: str) -> None:
    (problem,) = directory_plan.check_paths(wanted)
    assert text in problem.found


def test_the_services_directories_may_contain_each_other() -> None:
    assert directory_plan.check_paths((STATE, replace(STATE, path="/var/lib/mlflow/work"), SHARED)) == []
