"""Real stores of artifacts on ports of this machine's loopback, each with a wrong user or two."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.filter.artifact_store import artifact_store
from lab import gateway, requirements
from lab.base import Places, Progress
from tests.integration.proxy.site import Authority, free_port, listens, running, until
from tests.integration.releases import CACHE, NEWEST, release

TOOLS = CACHE / "tools"
PLANTED = "pl4nted-secret-of-the-store"
BUCKET = "bucket"
#: Stand-ins for stores that can't be had here; with the driver's installation they take long.
EMULATORS = ("azure", "gcs")


@dataclass(frozen=True)
class Service:
    """A running store: ``store`` is what an inventory says of it, ``directory`` where its files are.

    ``environment`` has further variables that lead to it; ``listing`` says what is in it, where no directory does.
    """

    store: dict[str, Any]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    listing: Callable[[], list[str]] | None = None

    @property
    def driver(self) -> str:
        """The end of the name of the lock that has what it needs."""
        return str(artifact_store(self.store)["driver"])

    def but(self, **parts: Any) -> dict[str, Any]:
        """Return the store with other parts; None leaves one out."""
        return {name: value for name, value in {**self.store, **parts}.items() if value is not None}

    def files(self) -> list[Path]:
        """Return what is in it."""
        if self.listing:
            return [Path(name) for name in self.listing() if name]
        return [path for path in self.directory.rglob("*") if path.is_file()]


def run(*argv: str | Path, **settings: Any) -> str:
    """Run a program and return what it printed; what it complained of stands in the failure."""
    done = subprocess.run([*map(str, argv)], check=False, text=True, capture_output=True, timeout=600, **settings)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    printed: str = done.stdout
    return printed


@contextmanager
def once(name: str) -> Iterator[Path]:
    """Yield where a tool is to be, with nobody else making it."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield TOOLS / name


#: May do all but delete; and nothing but look.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [user]},
            "Action": actions,
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
        for user, actions in {
            "mlflow-key": ["s3:*"],
            "no-delete-key": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"],
            "reader-key": ["s3:ListBucket", "s3:GetObject"],
        }.items()
    ],
}
SET_UP = """
import json, os, sys, boto3
from botocore.config import Config
s3 = boto3.client("s3", endpoint_url=sys.argv[1], config=Config(s3={"addressing_style": "path"}))
s3.create_bucket(Bucket=sys.argv[2], ObjectOwnership="BucketOwnerEnforced")
s3.put_bucket_policy(Bucket=sys.argv[2], Policy=sys.argv[3])
"""


@contextmanager
def s3(directory: Path, authority: Authority) -> Iterator[Service]:
    """Run an S3 server with TLS; of its keys one may do all, one not delete, one only look, one is nobody's."""
    program = gateway.build(Places.from_environment(os.environ), Progress("s3"))
    port, data = free_port(), directory / "data"
    data.mkdir(parents=True)
    (directory / "accounts").mkdir()
    authority.issue("s3", "DNS:localhost")
    url = f"https://localhost:{port}"
    root = {"ROOT_ACCESS_KEY": "root-key", "ROOT_SECRET_KEY": PLANTED, "PATH": os.defpath, "HOME": str(directory)}
    keys = {"AWS_ACCESS_KEY_ID": "root-key", "AWS_SECRET_ACCESS_KEY": PLANTED, "AWS_DEFAULT_REGION": "us-east-1"}
    pair = [str(authority.directory / name) for name in ("s3.pem", "s3.key")]
    argv = [str(program), "--port", f"127.0.0.1:{port}", "--cert", pair[0], "--key", pair[1]]
    argv += ["--iam-dir", str(directory / "accounts"), "posix", str(data)]
    with running(argv, directory / "log", env=root, cwd=directory):
        until(lambda: listens(port), "the start of the S3 server")
        for user in ("mlflow-key", "no-delete-key", "reader-key"):
            admin: list[str | Path] = [
                program,
                "admin",
                "--access",
                "root-key",
                "--secret",
                PLANTED,
                "--endpoint-url",
                url,
            ]
            run(*admin, "--allow-insecure", "create-user", "--access", user, "--secret", PLANTED, "--role", "user")
        python = release(NEWEST, "s3").python
        trusted = {**root, **keys, "AWS_CA_BUNDLE": str(authority.file)}
        run(python, "-I", "-c", SET_UP, url, BUCKET, json.dumps(POLICY), env=trusted)
        store = {
            "uri": f"s3://{BUCKET}/mlflow",
            "endpoint_url": url,
            "region": "us-east-1",
            "ca_bundle": str(authority.file),
            "access_key": "mlflow-key",
            "secret_key": PLANTED,
        }
        yield Service(store, data / BUCKET)


AZURITE = "azurite@3.37.0"
#: Azurite's own account, whose key is in its documentation.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = (
    "import sys; from azure.storage.blob import BlobServiceClient;"
    "BlobServiceClient.from_connection_string(sys.argv[1]).create_container(sys.argv[2])"
)

BLOBS = (
    "import sys; from azure.storage.blob import BlobServiceClient;"
    "service = BlobServiceClient.from_connection_string(sys.argv[1]);"
    "print(*(blob.name for blob in service.get_container_client(sys.argv[2]).list_blobs()), sep='\\n')"
)


@contextmanager
def azure(directory: Path) -> Iterator[Service]:
    """Run Azurite, the emulator of Azure's own, for its blobs.  Skips where there is no npm."""
    if not shutil.which("npm"):
        pytest.skip("SKIPPED: no npm, by which Azurite is installed")
    with once("azurite-3.37.0") as place:
        program = place / "node_modules/.bin/azurite-blob"
        if not program.exists():
            shutil.rmtree(place, ignore_errors=True)
            run("npm", "install", "--prefix", place, "--no-audit", "--no-fund", "--ignore-scripts", AZURITE)
    port, data = free_port(), directory / "data"
    data.mkdir(parents=True)
    argv = [str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(data), "--silent"]
    with running([*argv, "--skipApiVersionCheck", "--disableTelemetry"], directory / "log", cwd=directory):
        until(lambda: listens(port), "the start of Azurite")
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
        )
        run(release(NEWEST, "azure").python, "-I", "-c", CONTAINER, connection, BUCKET)
        store = {"uri": f"wasbs://{BUCKET}@{ACCOUNT}.blob.core.windows.net/mlflow", "connection_string": connection}

        def listing() -> list[str]:
            return run(release(NEWEST, "azure").python, "-I", "-c", BLOBS, connection, BUCKET).splitlines()

        yield Service(store, data, listing=listing)


EMULATOR = "gcp-storage-emulator==2026.7.19"


@contextmanager
def gcs(directory: Path) -> Iterator[Service]:
    """Run an emulator of Google Cloud Storage, which asks nobody for credentials."""
    with once(EMULATOR.replace("==", "-")) as place:
        program = place / "bin/gcp-storage-emulator"
        if not program.exists():
            shutil.rmtree(place, ignore_errors=True)
            uv = Path(sys.executable).with_name("uv")
            run(uv, "venv", "--quiet", "--python", sys.executable, place)
            run(uv, "pip", "install", "--quiet", "--python", place / "bin/python", EMULATOR)
    port, data = free_port(), directory / "data"
    data.mkdir(parents=True)
    argv = [str(program), "--data-dir", str(data), "start", "--host", "127.0.0.1", "--port", str(port)]
    with running([*argv, "--default-bucket", BUCKET], directory / "log", cwd=directory):
        until(lambda: listens(port), "the start of the emulator")
        leads_there = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "GOOGLE_CLOUD_PROJECT": "lab"}
        store = {"uri": f"gs://{BUCKET}/mlflow", "upload_chunk_size": 262144, "timeout": 60}

        def listing() -> list[str]:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as asked:
                asked.request("GET", f"/storage/v1/b/{BUCKET}/o")
                return [str(one["name"]) for one in json.load(asked.getresponse()).get("items", [])]

        yield Service(store, data, leads_there, listing)


@dataclass(frozen=True)
class Unpacked:
    """Servers of Debian's, unpacked rather than installed: installing would open their own ports."""

    place: Path

    def program(self, name: str) -> str:
        """Return the program, the system's own where it is installed."""
        unpacked = self.place / "usr/sbin" / name
        return str(unpacked) if unpacked.exists() else f"/usr/sbin/{name}"

    @property
    def environment(self) -> dict[str, str]:
        """What lets them find their libraries."""
        found = sorted({str(path.parent) for path in self.place.rglob("*.so.*")})
        return {"PATH": os.defpath, "LD_LIBRARY_PATH": ":".join(found)}


def servers() -> Unpacked:
    """Fetch OpenSSH's server and ProFTPD where they are not installed, with their libraries; or skip."""
    packages = {"openssh-server": "sshd", "proftpd-core": "proftpd"}
    with once("debian") as place:
        there = Unpacked(place)
        wanted = [package for package, name in packages.items() if not Path(there.program(name)).exists()]
        if wanted and (not shutil.which("apt-get") or os.geteuid()):
            pytest.skip(f"SKIPPED: {' '.join(wanted)} can't be fetched here, without apt-get or rights")
        if wanted:
            archives = place / "archives"
            (archives / "partial").mkdir(parents=True, exist_ok=True)
            fetch = ["apt-get", "-q", "-y", "--no-install-recommends", "--download-only", "-o", f"Dir::Cache={place}"]
            with requirements.apt(Places.from_environment(os.environ)):
                run(*fetch, "-o", f"Dir::Cache::archives={archives}", "install", *wanted)
            for package in archives.glob("*.deb"):
                run("dpkg", "-x", package, place)
    return there


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
PidFile none
AuthorizedKeysFile {directory}/authorized_keys
PasswordAuthentication no
UsePAM yes
StrictModes no
Subsystem sftp internal-sftp
"""


@contextmanager
def sftp(directory: Path) -> Iterator[Service]:
    """Run OpenSSH's server, which lets one account in by one key."""
    unpacked, port, data = servers(), free_port(), directory / "data"
    data.mkdir(parents=True)
    account = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    for name, options in {
        "id_rsa": ("rsa", "PEM"),
        "other_rsa": ("rsa", "PEM"),
        "host_key": ("ed25519", "RFC4716"),
    }.items():
        run("ssh-keygen", "-q", "-t", options[0], "-m", options[1], "-N", "", "-f", directory / name)
    (directory / "authorized_keys").write_text((directory / "id_rsa.pub").read_text())
    (directory / "sshd_config").write_text(SSHD.format(port=port, directory=directory))
    # As an ordinary account, for as root it wants one of its own.
    prefix = ["/usr/sbin/runuser", "-u", account, "--"] if os.geteuid() == 0 else []
    for path in (data, directory / "host_key"):
        shutil.chown(path, account)
    argv = [*prefix, unpacked.program("sshd"), "-D", "-e", "-f", str(directory / "sshd_config")]
    with running(argv, directory / "log", env=unpacked.environment):
        until(lambda: listens(port), "the start of sshd")
        kind, key = (directory / "host_key.pub").read_text().split()[:2]
        store = {
            "uri": f"sftp://localhost:{port}{data}",
            "user": account,
            "private_key": str(directory / "id_rsa"),
            "known_hosts": [f"localhost {kind} {key}"],
        }
        yield Service(store, data)


PROFTPD = """
ServerType standalone
ServerName lab
Port {port}
DefaultAddress 127.0.0.1
SocketBindTight on
User root
Group root
RequireValidShell off
AuthOrder mod_auth_file.c
AuthUserFile {directory}/users
AuthGroupFile {directory}/groups
PidFile {directory}/pid
ScoreboardFile {directory}/scoreboard
DelayTable none
TransferLog none
WtmpLog off
UseReverseDNS off
RootLogin on
DefaultRoot {directory}/data
"""


@contextmanager
def ftp(directory: Path) -> Iterator[Service]:
    """Run ProFTPD, which lets one user in by a password."""
    unpacked, port, data = servers(), free_port(), directory / "data"
    (data / "mlflow").mkdir(parents=True)
    word = run("openssl", "passwd", "-6", PLANTED).strip()
    (directory / "users").write_text(f"mlflow:{word}:0:0::{data}:/bin/sh\n")
    (directory / "groups").write_text("root:x:0:\n")
    for name in ("users", "groups"):
        (directory / name).chmod(0o600)
    (directory / "proftpd.conf").write_text(PROFTPD.format(port=port, directory=directory))
    argv = [unpacked.program("proftpd"), "-n", "-c", str(directory / "proftpd.conf")]
    with running(argv, directory / "log", env=unpacked.environment):
        until(lambda: listens(port), "the start of ProFTPD")
        yield Service({"uri": f"ftp://localhost:{port}/mlflow", "user": "mlflow", "password": PLANTED}, data)
