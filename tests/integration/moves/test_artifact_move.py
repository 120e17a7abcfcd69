"""The artifacts of real servers move with all their locations, and come back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import NewDatabase
from tests.integration.moves.conftest import HERE, get, log_everything, run, serving
from tests.integration.releases import EACH, NEWEST, Release, release
from tools import stage

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="copies are given to the service's account")

COLLECTIONS = {**os.environ, "PYTHONPATH": str(stage.REPOSITORY / ".cache/collections")}
#: What the collection knows; the search below finds whatever else there may be.
KNOWN = {
    *("experiments.artifact_location", "runs.artifact_uri", "logged_models.artifact_location"),
    *("model_versions.source", "model_versions.storage_location", "trace_tags.value[mlflow.artifactLocation]"),
}


def files(root: Path) -> dict[str, str]:
    """Return the sha256 of every file below a directory."""
    found = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@dataclass
class Deployment:
    """A database and an artifact root, as one server after another uses them."""

    release: Release
    scratch: Path
    uri: str
    access: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        proxied = self.access == "proxied"
        return {
            "MLFLOW_BACKEND_STORE_URI": self.uri,
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/" if proxied else str(self.directory),
            "MLFLOW_SERVE_ARTIFACTS": "true" if proxied else "false",
            **({"MLFLOW_ARTIFACTS_DESTINATION": str(self.directory)} if proxied else {}),
        }

    @property
    def environment_file(self) -> Path:
        path = self.scratch / "server.env"
        path.write_text("".join(f'{name}="{value}"\n' for name, value in self.environment.items()))
        return path

    def texts(self) -> dict[str, list[str]]:
        """Return all texts in the database by column."""
        printed = run(self.release.python, HERE / "walk.py", "texts", self.uri, env=COLLECTIONS)
        found: dict[str, list[str]] = json.loads(printed)
        return found

    def naming(self, text: str) -> set[str]:
        """Return the columns that have a text anywhere."""
        return {column for column, values in self.texts().items() if any(text in value for value in values)}

    def move(self, access: str, directory: Path, *options: str, **given: Any) -> dict[str, Any]:
        """Call the module as a play does, under the release's Python, and return its result."""
        arguments = {
            "environment_file": str(self.environment_file),
            "record_directory": str(self.scratch / "moves"),
            "state": "moved",
            "target_access": access,
            "target_directory": str(directory),
            "user": "nobody",
            **given,
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [
                *(
                    "ansible",
                    "localhost",
                    "--connection=local",
                    "--module-name=selfhosted.mlflow.artifact_move",
                    *options,
                ),
                *("--args", json.dumps(arguments)),
                *("--extra-vars", f"ansible_python_interpreter={self.release.python}"),
            ],
            env={
                **environment,
                "ANSIBLE_COLLECTIONS_PATH": str(stage.REPOSITORY / ".cache/collections"),
                "ANSIBLE_NOCOLOR": "1",
            },
            # Not here, where ansible.cfg asks for another format.
            cwd=self.scratch,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        printed = done.stdout
        assert "=> {" in printed, printed + done.stderr
        result: dict[str, Any] = json.loads(printed[printed.index("=> {") + 3 : printed.rindex("}") + 1])
        return result

    def moved(self, access: str, directory: Path, **given: Any) -> dict[str, Any]:
        """Move, and use the new root from now on."""
        own(directory)
        result = self.move(access, directory, **given)
        assert result.get("changed"), result
        self.access, self.directory = access, directory
        return result

    def check_served(self, logged: dict[str, Any]) -> None:
        """Prove that a server of the new root lists and serves the run's files."""
        with serving(self.release, self.scratch, self.environment) as url:
            for name, digest in logged["files"].items():
                query = urllib.parse.urlencode({"run_uuid": logged["run_id"], "path": name})
                assert hashlib.sha256(get(url, f"/get-artifact?{query}")).hexdigest() == digest
            query = urllib.parse.urlencode({"run_id": logged["run_id"]})
            answer = json.loads(get(url, f"/api/2.0/mlflow/artifacts/list?{query}"))
            assert {"files", "table.json"} <= {one["path"] for one in answer["files"]}


def own(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    shutil.chown(directory, "nobody", "nogroup")
    directory.chmod(0o2770)


Deploy = Callable[..., tuple[Deployment, dict[str, Any]]]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory that other accounts reach, as pytest's own can't be; in memory where that can be."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/var/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def deploy(scratch: Path) -> Deploy:
    def deploy(version: str, uri: str = "", access: str = "direct") -> tuple[Deployment, dict[str, Any]]:
        directory = scratch / "root"
        own(directory)
        deployment = Deployment(release(version), scratch, uri or f"sqlite:///{scratch}/mlflow.db", access, directory)
        with serving(deployment.release, scratch, deployment.environment) as url:
            logged = log_everything(deployment.release, url, scratch)
        return deployment, logged

    return deploy


@pytest.mark.parametrize("version", EACH)
def test_every_release_moves_there_and_back(deploy: Deploy, version: str, scratch: Path) -> None:
    deployment, logged = deploy(version)
    old, before, content = deployment.directory, deployment.texts(), files(deployment.directory)
    # Whatever names the root is known: a release that stores it elsewhere fails here.
    assert deployment.naming(str(old)) <= KNOWN
    assert {"experiments.artifact_location", "trace_tags.value[mlflow.artifactLocation]"} <= deployment.naming(str(old))

    predicted = deployment.move("direct", scratch / "root2", "--check")
    assert deployment.texts() == before
    assert not (scratch / "root2").exists()

    done = deployment.moved("direct", scratch / "root2")
    assert (done["rows"], done["files"], done["bytes"]) == tuple(predicted[name] for name in ("rows", "files", "bytes"))
    assert deployment.naming(f"{old}/") == set()
    assert files(scratch / "root2") == content
    assert files(old) == content
    assert deployment.move("direct", scratch / "root2")["changed"] is False

    deployment.moved("proxied", scratch / "root3")
    assert deployment.naming(str(scratch)) == set()
    assert files(scratch / "root3") == content
    deployment.check_served(logged)
    content = files(scratch / "root3")

    deployment.moved("direct", scratch / "root2", undo=True)
    assert files(scratch / "root2") == content
    assert deployment.move("direct", scratch / "root2", undo=True)["changed"] is False

    deployment.moved("direct", old)
    assert deployment.texts() == before
    deployment.check_served(logged)


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_other_databases(deploy: Deploy, new_database: NewDatabase, scratch: Path, engine: str) -> None:
    deployment, logged = deploy(NEWEST, new_database(engine).uri)
    before = deployment.texts()

    deployment.moved("proxied", scratch / "root2")

    assert deployment.naming(str(scratch)) == set()
    deployment.check_served(logged)
    deployment.moved("direct", scratch / "root", undo=True)
    assert deployment.texts() == before


def test_killed_anywhere_it_goes_on(deploy: Deploy, scratch: Path) -> None:
    deployment, _logged = deploy(NEWEST)
    before = deployment.texts()
    wish = {"target": {"access": "proxied", "directory": str(scratch / "root2")}}
    given = {"environment": deployment.environment, "parent": str(scratch / "moves"), "wish": wish}

    def attempt(do: str, **other: Any) -> subprocess.CompletedProcess[str]:
        argv = [str(deployment.release.python), str(HERE / "walk.py"), do, json.dumps({**given, **other})]
        return subprocess.run(argv, env=COLLECTIONS, check=False, capture_output=True, text=True, timeout=300)

    walked = attempt("walk", database=str(scratch / "mlflow.db"))
    assert (walked.returncode, walked.stdout) == (0, "[]\n"), walked.stdout + walked.stderr
    assert files(scratch / "root2") == files(deployment.directory)
    assert deployment.naming(str(scratch)) == set()

    # Undoing, too, goes on where it was killed.
    back = {"undo": True, "target": {"access": "direct", "directory": str(deployment.directory)}}
    assert attempt("move", point=4, wish=back).returncode == -9
    undone = attempt("move", point=0, wish=back)
    assert undone.returncode == 0, undone.stderr
    assert deployment.texts() == before


@pytest.fixture
def tiny(scratch: Path) -> Iterator[Path]:
    """A file system of its own with room for few files."""
    directory = scratch / "tiny"
    directory.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=200m,nr_inodes=9", "tmpfs", directory)
    try:
        yield directory
    finally:
        run("umount", directory)


def test_a_full_disk_is_told_and_the_move_goes_on(deploy: Deploy, scratch: Path, tiny: Path) -> None:
    deployment, logged = deploy(NEWEST)
    before, content = deployment.texts(), files(deployment.directory)
    own(tiny)

    for state in ("copied", "moved"):
        failed = deployment.move("direct", tiny, state=state)
        assert f"{tiny} is full (No space left on device) at " in failed["msg"]
        assert "make room and run the same again" in failed["msg"]
    assert deployment.texts() == before
    assert files(deployment.directory) == content
    assert not list(tiny.rglob("*.mlflow-move-partial"))
    deployment.check_served(logged)

    run("mount", "-o", "remount,nr_inodes=10000", tiny)
    done = deployment.moved("direct", tiny)
    assert 0 < done["files"] < len(content)
    assert files(tiny) == content
    deployment.check_served(logged)


@pytest.mark.parametrize("access", ["direct", "proxied"])
def test_the_started_server_is_asked(deploy: Deploy, scratch: Path, access: str) -> None:
    deployment, logged = deploy(NEWEST)
    target = scratch / "root2"
    deployment.moved(access, target)
    # It answers to this name only.
    environment = {**deployment.environment, "MLFLOW_SERVER_ALLOWED_HOSTS": "mlflow.example.org"}
    file = scratch / "served.env"
    with serving(deployment.release, scratch, environment) as url:
        named = {**environment, "MLFLOW_PORT": url.rpartition(":")[2]}
        file.write_text("".join(f'{name}="{value}"\n' for name, value in named.items()))

        def ask() -> dict[str, Any]:
            return deployment.move(access, target, state="served", environment_file=str(file))

        told = ask()
        assert (told.get("served"), told.get("unasked")) == (1, ""), told
        moved = min(
            path for path in target.rglob("*") if f"{logged['run_id']}/artifacts/" in str(path) and path.is_file()
        )
        name = str(moved).rpartition("/artifacts/")[2]
        kept = moved.read_bytes()
        moved.write_bytes(kept + b"x")
        assert f"the server serves other contents for {name} of run {logged['run_id']}" in ask()["msg"]
        moved.unlink()
        assert f"the server does not list {name} of run {logged['run_id']}" in ask()["msg"]
    assert "nothing listens there" in deployment.move(access, target, state="served", environment_file=str(file))["msg"]
