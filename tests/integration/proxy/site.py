"""A real nginx with the role's file before real MLflow servers, on ports of this machine's loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.releases import NEWEST, release
from tools import stage

HERE = Path(__file__).parent
READY = stage.REPOSITORY / "roles/mlflow_server/files/mlflow-ready"
NAME = "ml.example.org"
SECONDS = 120
MAIN = """user www-data;
worker_processes 1;
daemon off;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {scratch}/bodies;
    proxy_temp_path {scratch}/answers;
    include {scratch}/conf.d/*.conf;
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def until(wanted: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Wait for something.  Raises AssertionError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds:g} s"
        time.sleep(0.1)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def running(argv: list[str], log: Path, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with all that it starts, and end it."""
    with log.open("ab") as stream:
        process = subprocess.Popen(argv, stdout=stream, stderr=stream, start_new_session=True, **settings)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)


def memory(process: int) -> int:
    """Return the most resident memory in MiB that a process has had."""
    (line,) = [one for one in Path(f"/proc/{process}/status").read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024


@dataclass(frozen=True)
class Server:
    """One MLflow server of the newest release, with the variables of the role."""

    directory: Path
    port: int
    variables: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "MLFLOW_EXPOSE_PROMETHEUS": str(self.directory / f"metrics-{self.port}"),
            "TMPDIR": str(self.directory),
            "DO_NOT_TRACK": "1",
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_WORKERS": "1",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.directory}/mlflow.db",
            "MLFLOW_DEFAULT_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.directory / "artifacts"),
            **self.variables,
        }

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the server; it answers its API, as the unit's own probe sees it."""
        program = str(release(NEWEST).directory / "bin/mlflow")
        log = self.directory / f"{self.port}.log"
        with running([program, "server"], log, cwd=self.directory, env=self.environment) as process:
            self.wait_until_ready(process.pid)
            yield process

    def memory(self) -> int:
        """Return the most resident memory in MiB that it or one of its workers has had."""
        peaks = []
        for place in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"MLFLOW_PORT={self.port}\0".encode() in place.read_bytes():
                    peaks.append(memory(int(place.parent.name)))
        return max(peaks)

    def wait_until_ready(self, process: int) -> None:
        name = self.variables["MLFLOW_SERVER_ALLOWED_HOSTS"].partition(",")[0]
        probe = [sys.executable, "-I", str(READY), "--host-header", name, "--deadline", str(SECONDS)]
        ran = subprocess.run(
            [*probe, "--process", str(process)], env=self.environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr + (self.directory / f"{self.port}.log").read_text()[-2000:]


@dataclass(frozen=True)
class Authority:
    """An authority for one test run; ``issue`` makes certificates of any time."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        directory.mkdir()
        made = cls(directory)
        made._openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=the lab's authority"),
        )
        (directory / "index").touch()
        (directory / "serial").write_text("01")
        (directory / "ca.conf").write_text(
            "[ca]\ndefault_ca=a\n[a]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
            "unique_subject=no\ncopy_extensions=copy\n[p]\ncommonName=supplied\n"
        )
        return made

    @property
    def file(self) -> Path:
        return self.directory / "ca.pem"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.directory)

    def issue(self, label: str, names: str, since: str = "20260101000000Z", until: str = "20500101000000Z") -> None:
        """Make LABEL.pem and LABEL.key for names in OpenSSL's notation."""
        self._openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{label}.key"),
            *("-out", f"{label}.csr", "-subj", f"/CN={label}", "-addext", f"subjectAltName={names}"),
        )
        self._openssl(
            *("ca", "-config", "ca.conf", "-batch", "-notext", "-cert", "ca.pem", "-keyfile", "ca.key"),
            *("-startdate", since, "-enddate", until, "-in", f"{label}.csr", "-out", f"{label}.pem"),
        )
        (self.directory / f"{label}.key").chmod(0o600)

    def encrypt(self, label: str, to: Path) -> None:
        """Copy a key with a passphrase."""
        key = str(self.directory / f"{label}.key")
        self._openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", str(to))

    def pair(self, label: str) -> dict[str, str]:
        """Return the role's two inputs."""
        return {
            "mlflow_proxy_certificate": str(self.directory / f"{label}.pem"),
            "mlflow_proxy_key": str(self.directory / f"{label}.key"),
        }


def module(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module of the collection on this machine, and return its result."""
    command = ["ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", f"selfhosted.mlflow.{name}"]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "true"}
    ran = subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    result: dict[str, Any] = json.loads(ran.stdout)["plays"][0]["tasks"][0]["hosts"]["localhost"]
    return result


@dataclass(frozen=True)
class Proxy:
    """A running nginx: ``plain`` is the port that redirects."""

    scratch: Path
    port: int
    plain: int
    authority: Authority

    def connect(self, name: str = NAME, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """Open a connection as a client that trusts the authority."""
        trusting = context or ssl.create_default_context(cafile=self.authority.file)
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        try:
            return trusting.wrap_socket(plain, server_hostname=name)
        except BaseException:
            plain.close()
            raise

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers by small letters, and content; underscores in names of headers are hyphens."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.sock = self.connect()
            named = {"Host": f"{NAME}:{self.port}", **{name.replace("_", "-"): text for name, text in headers.items()}}
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
            return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()

    def workers(self) -> list[int]:
        """Return the processes that do nginx's work."""
        master = (self.scratch / "nginx.pid").read_text().strip()
        return [int(number) for number in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def complaints(self) -> str:
        return (self.scratch / "error.log").read_text()


def render(scratch: Path, inputs: dict[str, Any]) -> dict[str, str]:
    """Write nginx's configuration by the roles, and return the server's variables by them."""
    (scratch / "conf.d").mkdir(parents=True, exist_ok=True)
    (scratch / "nginx.conf").write_text(MAIN.format(scratch=scratch))
    given = {
        "role_files": str(stage.REPOSITORY / "roles"),
        "scratch": str(scratch),
        "ansible_python_interpreter": sys.executable,
        "__mlflow_proxy_preflight": {"listen": ["127.0.0.1"]},
        "__mlflow_proxy_pause": f"{scratch}/without-",
        **inputs,
    }
    play = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(HERE / "render.yml"), "-e", json.dumps(given)]
    ran = subprocess.run(play, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    variables: dict[str, str] = json.loads((scratch / "server.json").read_text())
    return variables


@contextmanager
def proxy(scratch: Path, ports: Sequence[int], authority: Authority) -> Iterator[Proxy]:
    """Run nginx with what was rendered, for TLS and for plain HTTP."""
    with running(["nginx", "-c", str(scratch / "nginx.conf")], scratch / "nginx.log"):
        until(lambda: listens(ports[0]), "the start of nginx")
        yield Proxy(scratch, ports[0], ports[1], authority)
