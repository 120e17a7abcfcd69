"""Experiments by the module and a real server of each release, with accounts; the newest below a static prefix."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.selfhosted.mlflow.plugins.modules import experiments
from lab.databases import Certificates, make_certificates
from tests.integration.accounts.conftest import FIRST, Site, ask
from tests.integration.moves import conftest as moves
from tests.integration.releases import EACH, NEWEST, Release, release
from tests.unit.plugins import fake_tracking
from tests.unit.plugins.fake_tracking import Answer, Asked

HERE = Path(__file__).parent
API = "api/2.0/mlflow/experiments"
ADMIN = ("admin", FIRST)
PREFIX = "/team/mlflow"
#: The one of which the artifacts are on a share, and not served.
DIRECT = "2.22.5"


@dataclass(frozen=True)
class Server:
    """A running server with accounts; ``shared`` is a directory that its clients see at the same path."""

    release: Release
    url: str
    prefix: str
    config: str
    shared: Path
    artifacts: Path

    @property
    def newest(self) -> bool:
        """Whether it is the newest release."""
        return self.release.version == NEWEST

    def run(self, *wished: dict[str, Any], **given: Any) -> dict[str, Any]:
        """Run the module in this process, and return what it says."""
        told = {"shared_directories": [str(self.shared)], "experiments": [*wished], "admin_config": self.config}
        said = run({"tracking_uri": self.url + self.prefix, **told, **given})
        assert FIRST not in json.dumps(said)
        return said

    def ask(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask its API as the administrator, and return what it answers."""
        status, answer = ask(self.url, ADMIN, f"{self.prefix}/{API}/{call}".lstrip("/"), body)
        assert status == 200, answer
        return answer

    def stored(self, name: str) -> dict[str, Any]:
        """Return an experiment as it is stored."""
        found: dict[str, Any] = self.ask(f"get-by-name?experiment_name={name}")["experiment"]
        tags = {tag["key"]: tag.get("value", "") for tag in found.get("tags", [])}
        return {"location": found["artifact_location"], "stage": found["lifecycle_stage"], "tags": tags}

    def place(self, name: str) -> str:
        """Return a location of an experiment's own that this server can have."""
        return f"{self.shared}/{name}" if self.release.version == DIRECT else f"mlflow-artifacts:/{name}"


def run(given: dict[str, Any]) -> dict[str, Any]:
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        with patch_module_args(given), pytest.raises(SystemExit):
            experiments.main()
        said: dict[str, Any] = json.loads(sys.stdout.getvalue())
    finally:
        sys.stdout = kept
    return said


@pytest.fixture(scope="module", params=EACH)
def server(request: pytest.FixtureRequest, fast_directory: Path) -> Iterator[Server]:
    base = fast_directory / request.param
    base.mkdir()
    version, artifacts, direct = request.param, base / "served", request.param == DIRECT
    prefix = PREFIX if version == NEWEST else ""
    # Neither in memory nor in /tmp, which the rules have for the system's.
    with tempfile.TemporaryDirectory(prefix="selfhosted-mlflow-", dir="/var/lib") as shared:
        site = Site(release(version), base)
        variables = {
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": shared if direct else "mlflow-artifacts:/",
            "MLFLOW_SERVE_ARTIFACTS": str(not direct).lower(),
            "MLFLOW_ARTIFACTS_DESTINATION": str(artifacts),
            **({"MLFLOW_STATIC_PREFIX": prefix} if prefix else {}),
        }
        with site.serving(site.configure(FIRST, **variables)) as url:
            yield Server(site.release, url, prefix, str(base / "basic_auth.ini"), Path(shared), artifacts)


def actions(said: dict[str, Any]) -> list[str]:
    assert "steps" in said, said
    return [f"{step['action']} {step['experiment']}" for step in said["steps"]]


def test_an_experiment_from_nothing_to_nothing(server: Server) -> None:
    """One story, for a server takes its time to start."""
    churn: dict[str, Any] = {
        "name": "churn",
        "artifact_location": server.place("churn"),
        "tags": {"team": "risk", "empty": "", "mlflow.note.content": "Two\nlines."},
    }
    plain = {"name": "left to the server"}

    predicted = server.run(churn, plain, _ansible_check_mode=True)
    assert actions(predicted) == ["create churn", "create left to the server"]
    assert ask(server.url, ADMIN, f"{server.prefix}/{API}/get-by-name?experiment_name=churn".lstrip("/"))[0] == 404
    did = server.run(churn, plain)
    assert (actions(did), did["diff"]) == (actions(predicted), predicted["diff"])
    assert server.stored("churn") == {"location": server.place("churn"), "stage": "active", "tags": churn["tags"]}
    assert did["experiments"][0]["artifact_location"] == server.place("churn")
    again = server.run(churn, plain)
    assert (again["changed"], again["experiments"]) == (False, did["experiments"])

    # Tags of others stay, but by choice and where the server can.
    number = did["experiments"][0]["experiment_id"]
    server.ask("set-experiment-tag", {"experiment_id": number, "key": "theirs", "value": "kept"})
    churn["tags"]["team"] = "fraud"
    said = server.run(churn)
    assert (actions(said), said["diff"]["before"]) == (["set_tag churn"], 'experiment churn: team = "risk"\n')
    assert server.stored("churn")["tags"] == {**churn["tags"], "theirs": "kept"}
    del churn["tags"]["mlflow.note.content"]
    purged = server.run({**churn, "purge_tags": True})
    if server.newest:
        assert actions(purged) == ["delete_tag churn"]
        assert server.stored("churn")["tags"] == {"team": "fraud", "empty": "", "mlflow.note.content": "Two\nlines."}
        assert server.run({**churn, "purge_tags": True})["changed"] is False
    else:
        assert "the tag 'theirs' of 'churn' is to be purged, and this server can't delete one" in purged["msg"]

    # What was deleted comes back by choice only.
    gone = {"name": "churn", "state": "absent"}
    assert (actions(server.run(gone)), server.run(gone)["changed"]) == (["delete churn"], False)
    refused = server.run(churn, {"name": "not made either"})
    assert "was deleted, and MLflow keeps its name" in refused["msg"]
    assert "restore: true" in refused["msg"]
    assert server.stored("churn")["stage"] == "deleted"
    churn["tags"]["team"] = "churn"
    back = {**churn, "restore": True}
    assert actions(server.run(back)) == ["restore churn", "set_tag churn"]
    assert server.stored("churn")["stage"] == "active"
    assert server.run(back)["changed"] is False
    assert "not made either" not in json.dumps(server.ask("search", {"max_results": 100, "view_type": "ALL"}))


def test_a_run_of_a_user_lies_where_the_experiment_says(server: Server, tmp_path: Path) -> None:
    server.run({"name": "logged", "artifact_location": server.place("logged/deep")})
    program = (
        "import mlflow; mlflow.set_experiment('logged'); run = mlflow.start_run();"
        "mlflow.log_text('what was logged', 'note.txt'); print(run.info.run_id)"
    )
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "MLFLOW_TRACKING_URI": server.url + server.prefix,
        "MLFLOW_TRACKING_USERNAME": ADMIN[0],
        "MLFLOW_TRACKING_PASSWORD": ADMIN[1],
        "GIT_PYTHON_REFRESH": "quiet",
        "DO_NOT_TRACK": "1",
    }
    printed = moves.run(server.release.python, "-c", program, env=variables, cwd=tmp_path)

    root = server.shared if server.release.version == DIRECT else server.artifacts
    (number,) = [line for line in printed.splitlines() if len(line) == 32]
    assert (root / "logged/deep" / number / "artifacts/note.txt").read_text() == "what was logged"


def test_another_location_can_not_be_had(server: Server) -> None:
    """Nothing is changed then, neither what could be."""
    server.run({"name": "stays", "artifact_location": server.place("stays")})
    said = server.run(
        {"name": "stays", "artifact_location": server.place("moved"), "tags": {"a": "b"}}, {"name": "new"}
    )

    assert f"keeps its artifacts at {server.place('stays')}, and not at {server.place('moved')}" in said["msg"]
    assert "selfhosted.mlflow.move_artifacts" in said["msg"]
    assert server.stored("stays") == {"location": server.place("stays"), "stage": "active", "tags": {}}
    assert ask(server.url, ADMIN, f"{server.prefix}/{API}/get-by-name?experiment_name=new".lstrip("/"))[0] == 404


def test_what_a_server_can_not_do_is_told_before_anything_is_changed(server: Server) -> None:
    proxied = {"name": "proxied", "artifact_location": "mlflow-artifacts:/proxied"}
    long = {"name": "long", "tags": {"note": "x" * 5001}}
    host = {"name": "host", "artifact_location": "sftp://other.example.org/srv"}
    said = {
        one["name"]: server.run(one, {"name": "Default", "tags": {"seen": one["name"]}})
        for one in (proxied, long, host)
    }

    assert ("serves no artifacts" in said["proxied"].get("msg", "")) is (server.release.version == DIRECT)
    assert ("has more than 5000 characters" in said["long"].get("msg", "")) is not server.newest
    assert ("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES: sftp" in said["host"].get("msg", "")) is server.newest
    # A refusal left the tag as it was.
    assert server.stored("Default")["tags"] == {"seen": [name for name, one in said.items() if "msg" not in one][-1]}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"username": "admin", "password": "wrong password"}, ("401", "those given are not accepted")),
        ({"admin_config": "/nonexistent.ini"}, ("admin_config is /nonexistent.ini", "mlflow_server_basic_auth")),
        ({"experiments": [{"name": "x", "artifact_location": "churn"}]}, ("'churn'", "it is relative")),
        ({"experiments": [{"name": "x", "tags": {"n": 5}}]}, ("the tag 'n' of the experiment 'x' is 5", "in quotes")),
    ],
)
def test_refuses(server: Server, given: dict[str, Any], told: tuple[str, ...]) -> None:
    said = server.run(**{"experiments": [{"name": "x"}], **given})

    assert said["failed"]
    assert all(part in said["msg"] for part in told), said["msg"]


def test_a_server_that_is_to_come_is_predicted(tmp_path: Path, free_ports: list[int]) -> None:
    given = {
        "tracking_uri": f"http://127.0.0.1:{free_ports[0]}",
        "admin_config": str(tmp_path / "basic_auth.ini"),
        "experiments": [{"name": "churn", "tags": {"team": "risk"}}],
    }
    said = run({**given, "_ansible_check_mode": True})

    assert actions(said) == ["create churn"]
    assert said["diff"]["after"] == 'experiment churn\nexperiment churn: team = "risk"\n'
    assert "admin_config is" in run(given)["msg"]


@contextmanager
def behind_tls(server: Server, certificates: Certificates) -> Iterator[str]:
    """Stand in for a proxy with TLS before a server, and yield the server's address there."""

    def forward(asked: Asked) -> Answer:
        address = urllib.parse.urlsplit(server.url)
        with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)) as way:
            headers: dict[str, str] = {
                name: asked.headers[name] for name in ("authorization", "content-type") if name in asked.headers
            }
            way.request(asked.method, asked.path, json.dumps(asked.body) if asked.body is not None else None, headers)
            with way.getresponse() as answer:
                return Answer(answer.status, answer.read())

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.certificate, certificates.key)
    with fake_tracking.serve(forward, tls) as fake:
        yield fake.url.replace("127.0.0.1", "localhost") + server.prefix


def test_the_role_by_tls(server: Server, tmp_path: Path) -> None:
    """As the site runs it, with an authority of its own, twice; it names no password, and refuses before it asks."""
    if not server.newest:
        pytest.skip("one release is enough for the role's few lines")
    certificates = make_certificates(tmp_path)
    play = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(HERE / "play.yml"), "-vvv", "--diff"]

    def carry_out(**given: Any) -> str:
        variables = {
            "ansible_python_interpreter": sys.executable,
            "mlflow_ca_bundle": str(certificates.authority),
            **given,
        }
        command = [*play, "-e", json.dumps(variables)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert FIRST not in ran.stdout + ran.stderr
        return ran.stdout

    with behind_tls(server, certificates) as url:
        given = {
            "mlflow_tracking_uri": url,
            "mlflow_experiments_admin_config": server.config,
            "mlflow_experiments_list": [{"name": "by the role", "tags": {"team": "risk"}}],
        }
        first, second = carry_out(**given), carry_out(**given)
        refused = carry_out(**given, mlflow_artifact_root="relative", mlflow_artifact_access="direct")

    assert "changed=1 " in first, first
    assert '+experiment by the role: team = "risk"' in first
    assert "changed=0 " in second
    assert "failed=0 " in second, second
    assert "mlflow_experiments_shared_directories is 'relative'" in refused
    assert "Experiments | Have them" not in refused
