"""A Nomad agent on this machine, for as long as the tests run that ask it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import Access, NomadApi
from tests.integration.nomad.agent import (
    ACCOUNT,
    AGENT,
    NOMAD,
    OPERATOR,
    PROGRAM,
    SERVER_NAME,
    Agent,
    certificates,
    until,
)


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory, free_ports: list[int]) -> Iterator[Agent]:
    if not NOMAD:
        pytest.skip("SKIPPED: there is no 'nomad' on PATH, and a real agent is what this is about")
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: a Nomad client wants root")
    directory = tmp_path_factory.mktemp("nomad")
    for name in ("artifacts", "backend"):
        (directory / name).mkdir()
        # For the driver exec, which takes no numbers.
        shutil.chown(directory / name, ACCOUNT)
    PROGRAM.mkdir(parents=True, exist_ok=True)
    certificates(directory)
    http, rpc, serf = free_ports[:3]
    (directory / "agent.hcl").write_text(
        AGENT.format(directory=directory, program=PROGRAM, http=http, rpc=rpc, serf=serf)
    )
    access = Access(
        f"https://127.0.0.1:{http}",
        OPERATOR,
        str(directory / "nomad-agent-ca.pem"),
        str(directory / "global-cli-nomad.pem"),
        str(directory / "global-cli-nomad-key.pem"),
        SERVER_NAME,
        timeout=15,
    )
    api, log = NomadApi(access), directory / "agent.log"
    # Its search for clouds breaks on a bundle of authorities.
    environment = {name: value for name, value in os.environ.items() if name != "AWS_CA_BUNDLE"}
    with log.open("w") as stream:
        command = [NOMAD, "agent", "-config", str(directory / "agent.hcl")]
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=environment)
    try:
        bootstrap = {"BootstrapSecret": OPERATOR}
        until(lambda: NomadApi(replace(access, token="")).put("/v1/acl/bootstrap", bootstrap), log)
        until(lambda: [node for node in api.get("/v1/nodes") if node["Status"] == "ready"], log)
        api.put("/v1/namespace/ml", {"Name": "ml"})
        yield Agent(access, directory)
        nomad_job.absent(api.in_namespace("ml"), "mlflow", True, 20, check_mode=False)
    finally:
        process.terminate()
        process.wait(timeout=30)
        # An agent leaves its tasks' directories mounted, and pytest could not remove them.
        mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
        for path in sorted((path for path in mounted if path.startswith(f"{directory}/")), reverse=True):
            subprocess.run(["umount", "--lazy", path], check=True)
