"""What the roles make of a store: the server's and the clients' environment, and the module's answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.filter.artifact_store import artifact_store
from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_store_probe
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem
from tests.integration.releases import NEWEST, release
from tools import stage

HERE = Path(__file__).parent


def rendered(scratch: Path, store: Mapping[str, Any], **inputs: Any) -> dict[str, dict[str, str]]:
    """Return the environments of ``server`` and ``client`` by the roles, and the home that the server has."""
    scratch.mkdir(parents=True, exist_ok=True)
    given = {
        "role_files": str(stage.REPOSITORY / "roles"),
        "scratch": str(scratch),
        "ansible_python_interpreter": sys.executable,
        "mlflow_artifact_store": dict(store),
        "mlflow_tracking_uri": "http://localhost:5000",
        **inputs,
    }
    inventory = scratch / "inputs.json"
    inventory.write_text(json.dumps(given))
    play = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(HERE / "render.yml"), "-e", f"@{inventory}"]
    ran = subprocess.run(play, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made: dict[str, dict[str, str]] = json.loads((scratch / "environments.json").read_text())
    return {name: {key: str(value) for key, value in told.items()} for name, told in made.items()}


def ask(store: Mapping[str, Any], home: Path, environment: Mapping[str, str] | None = None, check: bool = False) -> Any:
    """Return what the module says of a store, asked as this user, by choice in check mode."""
    made = artifact_store(dict(store))
    given = {
        "uri": made["root"],
        "secret_uri": made["destination"]["address"] if made["destination"]["secret"] else None,
        "files": made["files"],
        "endpoint": made["endpoint"],
        "deletes": made["deletes"],
        "python": str(release(NEWEST, made["driver"]).python),
        "user": "root",
        "environment": {"HOME": str(home), **made["server"]["variables"]},
        "secrets": {**made["server"]["secrets"], **(environment or {})},
    }
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local"]
    command += ["-m", "selfhosted.mlflow.artifact_store_preflight", *(["--check"] if check else [])]
    settings = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
    ran = subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(given)],
        capture_output=True,
        text=True,
        check=False,
        env=settings,
    )
    for secret in made["server"]["secrets"].values():
        assert secret not in ran.stdout + ran.stderr
    return json.loads(ran.stdout)["plays"][0]["tasks"][0]["hosts"]["localhost"]


def configured(store: Mapping[str, Any], home: Path) -> Path:
    """Return a home with what the server's role writes for SFTP's driver; of other stores, with nothing."""
    made = artifact_store(dict(store))
    directory = home / ".ssh"
    directory.mkdir(parents=True, exist_ok=True)
    if made["kind"] == "sftp":
        (directory / "config").write_text(made["ssh_config"])
        (directory / "known_hosts").write_text(made["known_hosts"])
    return home


def asked(
    stores: Sequence[Mapping[str, Any]], scratch: Path, environment: Mapping[str, str] | None = None
) -> list[Problem | None]:
    """Return what is wrong with each of many stores of one kind, asked by one interpreter that loads MLflow once.

    Each has a home of its own below ``scratch``.
    """
    homes = [configured(store, scratch / f"home{number}") for number, store in enumerate(stores)]
    made = [artifact_store(dict(store)) for store in stores]
    hidden = [[*one["server"]["secrets"].values()] for one in made]
    questions = [
        {
            "environment": {
                "PATH": os.defpath,
                "HOME": str(home),
                **one["server"]["variables"],
                **one["server"]["secrets"],
                **(environment or {}),
            },
            "uri": one["destination"]["address"],
            "endpoint": one["endpoint"],
            "write": True,
            "deletes": one["deletes"],
        }
        for one, home in zip(made, homes, strict=True)
    ]
    program = stage.REPOSITORY / "plugins/module_utils/artifact_store_probe_program.py"
    ran = subprocess.run(
        [release(NEWEST, made[0]["driver"]).python, "-I", HERE / "many.py", program],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(made), ran.stderr
    return [
        artifact_store_probe.judge(one["root"], answer, secrets)
        for one, answer, secrets in zip(made, answers, hidden, strict=True)
    ]


def words(answer: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what was found of the one problem there is, why it is wrong, and what to do."""
    (problem,) = answer["problems"]
    return str(problem["found"]), str(problem["why"]), str(problem["instead"])


SIZE = 100_000
LOG = """
import hashlib, json, os, sys, mlflow
from pathlib import Path
sent = {"small.txt": b"small", "deep/large.bin": os.urandom(int(sys.argv[1]))}
for name, content in sent.items():
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(content)
if len(sys.argv) > 2:
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("itself", artifact_location=sys.argv[2]))
with mlflow.start_run() as run:
    mlflow.log_artifact("small.txt")
    mlflow.log_artifacts("deep", "deep")
names = [found.path for found in mlflow.MlflowClient().list_artifacts(run.info.run_id, "deep")]
back = Path(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path="back"))
digest = lambda content: hashlib.sha256(content).hexdigest()
same = all(digest((back / name).read_bytes()) == digest(content) for name, content in sent.items())
mlflow.MlflowClient().delete_run(run.info.run_id)
print(json.dumps({"uri": run.info.artifact_uri, "names": names, "same": same}))
"""


def logged(
    url: str, scratch: Path, environment: Mapping[str, str], store: Mapping[str, Any], location: str = ""
) -> Any:
    """Log a run with files as a client, list and read them back, delete it, and return what was seen.

    ``location`` is that of an experiment of its own, which the client writes to itself.
    """
    work = Path(tempfile.mkdtemp(dir=scratch))
    configured(store if location else {}, work)
    told = {name: value for name, value in environment.items() if name != "MLFLOW_TRACKING_URI"}
    ran = subprocess.run(
        [
            release(NEWEST, artifact_store(dict(store))["driver"] if location else "").python,
            "-I",
            "-c",
            LOG,
            str(SIZE),
            *([location] if location else []),
        ],
        env={"PATH": os.defpath, "HOME": str(work), "MLFLOW_TRACKING_URI": url, "DO_NOT_TRACK": "1", **told},
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def collect(url: str, environment: Mapping[str, str], driver: str) -> str:
    """Have the role's program remove for good what was deleted days ago, and return what it says."""
    program = stage.REPOSITORY / "roles/mlflow_gc/files/mlflow-gc"
    ran = subprocess.run(
        [release(NEWEST, driver).python, "-I", program, "--older-than-days", "1", "--delete"],
        env={**environment, "MLFLOW_TRACKING_URI": url, "PATH": os.defpath},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
