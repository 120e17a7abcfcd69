"""A real Nomad agent with TLS, client certificates, ACLs and a namespace."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import Access, NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from tools import stage

NOMAD = shutil.which("nomad") or ""
OPERATOR = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
SERVER_NAME = "server.global.nomad"
START_SECONDS = 90
#: Whom a task of the driver exec runs as, and where the host has releases of MLflow.
ACCOUNT = "nobody"
PROGRAM = stage.REPOSITORY / ".cache/integration/nomad"
AGENT = """
data_dir  = "{directory}/data"
bind_addr = "127.0.0.1"
ports {{
  http = {http}
  rpc  = {rpc}
  serf = {serf}
}}
advertise {{
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}}
server {{
  enabled          = true
  bootstrap_expect = 1
}}
client {{
  enabled           = true
  cpu_total_compute = 4000
  # Clouds that aren't there are asked for a long time.
  options = {{
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean"
  }}
  # What the driver exec shows its tasks of the host; by default it is more, and takes longer.
  chroot_env {{
    "/bin"     = "/bin"
    "/etc"     = "/etc"
    "/lib"     = "/lib"
    "/lib64"   = "/lib64"
    "/usr/bin" = "/usr/bin"
    "/usr/lib" = "/usr/lib"
  }}
  host_volume "mlflow-artifacts" {{
    path = "{directory}/artifacts"
  }}
  host_volume "mlflow-data" {{
    path = "{directory}/backend"
  }}
  host_volume "mlflow-program" {{
    path      = "{program}"
    read_only = true
  }}
}}
acl {{
  enabled = true
}}
tls {{
  http                = true
  rpc                 = true
  ca_file             = "{directory}/nomad-agent-ca.pem"
  cert_file           = "{directory}/global-server-nomad.pem"
  key_file            = "{directory}/global-server-nomad-key.pem"
  verify_https_client = true
}}
plugin "raw_exec" {{
  config {{
    enabled = true
  }}
}}
"""


@dataclass(frozen=True)
class Agent:
    """A running agent, its operator's access, and where its certificates are."""

    access: Access
    directory: Path

    @property
    def api(self) -> NomadApi:
        return NomadApi(self.access)

    def token(self, *rules: str) -> str:
        """Return the secret id of a token with these rules only."""
        name = f"policy-{abs(hash(rules))}"
        written = "\n".join(rules).replace("{ ", "{\n").replace(" }", "\n}").replace("} ", "}\n")
        self.api.put(f"/v1/acl/policy/{name}", {"Name": name, "Rules": written})
        body = {"Name": name, "Type": "client", "Policies": [name]}
        return str(self.api.put("/v1/acl/token", body)["SecretID"])


def certificates(directory: Path) -> None:
    for command in (["tls", "ca", "create"], ["tls", "cert", "create", "-server"], ["tls", "cert", "create", "-cli"]):
        subprocess.run([NOMAD, *command], check=True, cwd=directory, stdout=subprocess.DEVNULL)
    other = directory / "other"
    other.mkdir()
    subprocess.run([NOMAD, "tls", "ca", "create"], check=True, cwd=other, stdout=subprocess.DEVNULL)


def until(answers: Any, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            if answers():
                return
        except NomadError:
            pass
        time.sleep(0.5)
    pytest.fail(f"Nomad is not ready after {START_SECONDS} s:\n{log.read_text()[-2000:]}")
