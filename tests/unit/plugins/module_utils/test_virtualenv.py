from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import virtualenv

SUM = "--hash=sha256:" + "0f" * 32
LOCK = f"# Locked.\nalpha==1.0 \\\n    {SUM} \\\n    {SUM}\nbeta[x]==2.0.post1 {SUM}  # why\n\n"
RECIPE = virtualenv.Recipe("app-1", LOCK, (), "/usr/bin/python3.11", "uv")
HERE = "/opt/app/venvs/x"


def argvs(commands: list[virtualenv.Command]) -> str:
    return "\n".join(" ".join(command.argv) for command in commands)


def test_pins() -> None:
    assert virtualenv.pins(LOCK) == {"alpha": "1.0", "beta": "2.0.post1"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("alpha==1.0", "lacks a --hash"),
        (f"alpha>=1.0 {SUM}", "not an exact pin"),
        (f"alpha {SUM}", "not an exact pin"),
        (f"alpha @ https://example.org/a.whl {SUM}", "not an exact pin"),
        ("alpha==1.0 --hash=sha256:beef", "lacks a --hash"),
        ("alpha==1.0 --hash=md5:" + "0f" * 16, "lacks a --hash"),
        ("--index-url https://user:secret@example.org/simple", "not an exact pin"),
        ("-r other.txt", "not an exact pin"),
        ("# nothing", "no packages"),
    ],
)
def test_requirements_that_are_not_locked(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        virtualenv.pins(text)


def test_markers_are_kept_out_of_the_version() -> None:
    assert virtualenv.pins(f"alpha==1.0 ; sys_platform == 'linux' {SUM}") == {"alpha": "1.0"}


@pytest.mark.parametrize(
    "change",
    [
        {"requirements": LOCK.replace("1.0", "1.1")},
        {"requirements": LOCK.replace("0f", "0e", 1)},
        {"extra_packages": ("boto3==1.40.1",)},
        {"python": "/usr/bin/python3.13"},
        {"installer": "pip"},
    ],
)
def test_another_recipe_is_another_release(change: dict[str, Any]) -> None:
    assert replace(RECIPE, **change).release != RECIPE.release


def test_comments_and_layout_do_not_make_another_release() -> None:
    same = LOCK.replace("# Locked.\n", "").replace(" \\\n    ", " ")
    assert replace(RECIPE, requirements=same).release == RECIPE.release


def test_the_release_is_named_after_the_recipe() -> None:
    assert RECIPE.release.startswith("app-1-")
    assert len(RECIPE.release) == len("app-1-") + 12


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_names_that_are_no_directory_s(name: str) -> None:
    with pytest.raises(ValueError, match="directory"):
        replace(RECIPE, name=name)


@pytest.mark.parametrize("package", ["boto3", "boto3>=1", "boto3==1.*", "--pre", "boto3==1 boto4==2"])
def test_extra_packages_without_a_version(package: str) -> None:
    with pytest.raises(ValueError, match="exact pin"):
        replace(RECIPE, extra_packages=(package,))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_locked_packages_are_installed_by_their_hashes(installer: str) -> None:
    commands = virtualenv.fill(replace(RECIPE, installer=installer), HERE, "/uv", virtualenv.Sources(), True)
    assert "--require-hashes --no-deps --requirement /opt/app/venvs/x/requirements.txt" in argvs(commands[:1])


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_extra_packages_can_not_move_locked_ones(installer: str) -> None:
    recipe = replace(RECIPE, installer=installer, extra_packages=("boto3==1.40.1",))
    command = virtualenv.fill(recipe, HERE, "/uv", virtualenv.Sources(), False)[1]
    assert command.argv[-3:] == ("--constraint", "/opt/app/venvs/x/constraints.txt", "boto3==1.40.1")
    assert virtualenv.constraints(LOCK) == "alpha==1.0\nbeta==2.0.post1\n"


@pytest.mark.parametrize(("installer", "compiler"), [("uv", "--compile-bytecode"), ("pip", "compileall")])
def test_everything_is_compiled_only_when_wished(installer: str, compiler: str) -> None:
    recipe = replace(RECIPE, installer=installer)
    assert compiler in argvs(virtualenv.fill(recipe, HERE, "/uv", virtualenv.Sources(), True))
    assert compiler not in argvs(virtualenv.fill(recipe, HERE, "/uv", virtualenv.Sources(), False))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheelhouse_replaces_every_index(installer: str) -> None:
    recipe = replace(RECIPE, installer=installer, extra_packages=("boto3==1.40.1",))
    sources = virtualenv.Sources(wheelhouse="/srv/wheels")
    commands = [
        virtualenv.bootstrap_uv("/usr/bin/python3", sources, "/lock", "/target"),
        *virtualenv.fill(recipe, HERE, "/uv", sources, False),
    ]
    assert [c.purpose for c in commands if "--no-index --find-links /srv/wheels" not in " ".join(c.argv)] == []


def test_the_address_of_an_index_is_in_the_environment_only() -> None:
    sources = virtualenv.Sources(index_url="https://user:secret@example.org/simple")
    recipe = replace(RECIPE, extra_packages=("boto3==1.40.1",))
    commands = [
        virtualenv.bootstrap_uv("/usr/bin/python3", sources, "/lock", "/target"),
        *virtualenv.fill(recipe, HERE, "/uv", sources, True),
        *virtualenv.verify(recipe, HERE, "/uv", ["alpha"]),
    ]
    assert "secret" not in argvs(commands)
    added = virtualenv.environment({}, sources, "/cache", "")
    assert added["UV_DEFAULT_INDEX"] == added["PIP_INDEX_URL"] == sources.index_url


def test_what_the_host_sets_stays() -> None:
    base = {"UV_CACHE_DIR": "/elsewhere", "SSL_CERT_FILE": "/my/ca.pem"}
    added = virtualenv.environment(base, virtualenv.Sources(), "/cache", "/etc/ssl/ca.pem")
    assert "UV_CACHE_DIR" not in added
    assert "SSL_CERT_FILE" not in added
    assert added["PIP_CERT"] == "/etc/ssl/ca.pem"
    assert added["PIP_CACHE_DIR"] == "/cache/pip"


def test_imports_are_tried() -> None:
    assert argvs(virtualenv.verify(RECIPE, HERE, "/uv", ["a.b", "c"])).endswith("-I -c import a.b, c")
    assert "import" not in argvs(virtualenv.verify(RECIPE, HERE, "/uv", []))


def test_pip_is_run_from_the_standard_library() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", virtualenv.RUN_PIP, "--version"], check=True, capture_output=True, text=True
    )
    assert ran.stdout.startswith("pip ")
    assert ".whl" in ran.stdout
