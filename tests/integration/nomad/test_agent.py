"""What a real Nomad agent says of keys and rights, and a job's way through it, where a `nomad` is on PATH.

The driver is raw_exec, which needs neither containers nor cgroups; the role refuses it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job, nomad_rights
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_api import NomadApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import NomadError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_result import Result, Wish
from tests.integration.nomad.agent import Agent

STRANGER = "1b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
JOB = """
job "mlflow" {{
  namespace = "ml"
  group "server" {{
    volume "artifacts" {{
      type   = "host"
      source = "mlflow-artifacts"
    }}
    update {{
      min_healthy_time = "1s"
      healthy_deadline = "20s"
      progress_deadline = "30s"
      auto_revert      = true
    }}
    restart {{
      attempts = 0
      mode     = "fail"
    }}
    reschedule {{
      attempts  = 0
      unlimited = false
    }}
    task "server" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", "{script}"]
      }}
      resources {{
        cpu    = 100
        memory = 32
      }}
    }}
  }}
}}
"""
GOOD, BETTER = "echo one; exec sleep 600", "echo two; exec sleep 600"
BAD = "echo no such database >&2; exit 3"
#: With the volume mounted, as the role's job has it; raw_exec can't run that, but Nomad judges the rights all the same.
RIGHTS = JOB.format(script=GOOD)
JOBS = 'namespace "ml" { capabilities = [%s] }'
VARIABLE = 'namespace "ml" { variables { path "nomad/jobs/mlflow" { capabilities = [%s] } } }'
VOLUME = 'host_volume "mlflow-*" { policy = "write" }'
NODE = 'agent { policy = "read" } node { policy = "read" }'
ALL = (JOBS % '"submit-job", "read-job", "read-logs"', VARIABLE % '"read", "write"', VOLUME, NODE)


def apply(agent: Agent, script: str) -> Result:
    text = JOB.format(script=script)
    # raw_exec knows no host volumes: that is for the right to mount one only.
    text = text[: text.index("    volume ")] + text[text.index("    update ") :]
    return nomad_job.present(agent.api, Wish(text, wait_seconds=60), check_mode=False)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"client_cert": "", "client_key": ""}, "client_certificate"),
        ({"ca_bundle": "other/nomad-agent-ca.pem"}, "certificate"),
        ({"tls_server_name": "elsewhere"}, "certificate"),
        ({"token": STRANGER}, "forbidden"),
        ({"region": "moon"}, "region"),
    ],
)
def test_what_keeps_one_out_is_told(agent: Agent, given: dict[str, Any], reason: str) -> None:
    files = {name: str(agent.directory / value) for name, value in given.items() if name == "ca_bundle"}
    api = NomadApi(replace(agent.access, **{**given, **files}))

    with pytest.raises(NomadError) as caught:
        api.get("/v1/jobs")

    assert caught.value.reason == reason, caught.value


def missing(agent: Agent, token: str) -> list[str]:
    api = NomadApi(replace(agent.access, token=token, namespace="ml"))
    problems = [*nomad_rights.of_job(api, RIGHTS), *nomad_rights.of_variable(api, "nomad/jobs/mlflow")]
    return [str(one) for one in [*problems, *nomad_rights.of_node(api)[1]]]


def test_a_token_with_all_rights_misses_none_and_changes_nothing(agent: Agent) -> None:
    before = agent.api.get("/v1/jobs", {"namespace": "*"})

    assert missing(agent, agent.token(*ALL)) == []
    assert agent.api.get("/v1/jobs", {"namespace": "*"}) == before
    assert agent.api.get("/v1/vars", {"namespace": "*"}) == []


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ((JOBS % '"read-job"', *ALL[1:]), ["/v1/jobs"]),
        ((JOBS % '"submit-job"', *ALL[1:]), ["/v1/job/mlflow"]),
        ((ALL[0], VARIABLE % '"read"', *ALL[2:]), ["PUT"]),
        ((ALL[0], VARIABLE % '"write"', *ALL[2:]), ["GET"]),
        ((*ALL[:2], NODE), ['the host volume "mlflow-artifacts"']),
        (ALL[:3], ["/v1/agent/self"]),
        ((VOLUME,), ["/v1/jobs/parse", "the Nomad variable", "/v1/agent/self"]),
    ],
)
def test_each_missing_right_is_told(agent: Agent, rules: tuple[str, ...], told: list[str]) -> None:
    found = missing(agent, agent.token(*rules))

    assert len(found) == len(told), found
    assert all(text in one for text, one in zip(told, found, strict=True)), found


def test_a_namespace_that_is_not_there_is_told(agent: Agent) -> None:
    text = RIGHTS.replace('namespace = "ml"', 'namespace = "none"')

    problems = [str(one) for one in nomad_rights.of_job(agent.api, text)]

    assert any("Nomad has no namespace none" in one for one in problems), problems


def test_a_job_from_its_first_version_to_its_end(agent: Agent) -> None:
    """One test, for each step needs the one before."""
    first = apply(agent, GOOD)
    assert (first.problem, first.changed, first.version, first.running) == ("", True, 0, {0: 1})
    node, _missing = nomad_rights.of_node(agent.api)
    assert first.nodes == [node]
    assert [one["Namespace"] for one in agent.api.get("/v1/jobs", {"namespace": "*"})] == ["ml"]

    without_logs = agent.token(JOBS % '"submit-job", "read-job"', *ALL[1:])
    (problem,) = missing(agent, without_logs)
    assert "read-logs" in problem

    assert not apply(agent, GOOD).changed

    second = apply(agent, BETTER)
    assert (second.problem, second.changed, second.version) == ("", True, 1)

    bad = apply(agent, BAD)
    assert (bad.version, bad.reverted_to) == (2, 1)
    assert "no such database" in bad.problem
    assert "went back to version 1, which is now version 3" in bad.problem
    assert bad.running == {3: 1}

    text = json.dumps(agent.api.get("/v1/job/mlflow", {"namespace": "ml"}))
    assert "echo two" in text

    gone, _diff = nomad_job.absent(agent.api.in_namespace("ml"), "mlflow", True, 30, check_mode=False)
    assert (gone.problem, gone.changed) == ("", True)
    assert agent.api.get("/v1/jobs", {"namespace": "*"}) == []
