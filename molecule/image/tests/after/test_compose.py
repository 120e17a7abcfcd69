"""examples/compose, as it is: the server alone, and with PostgreSQL."""

from __future__ import annotations

import json

from lab.container import Composed, docker, log_run, prove


def containers(composed: Composed) -> list[str]:
    return composed.run("ps", "--quiet").split()


def test_a_run_outlives_the_containers(composed: Composed) -> None:
    logged = log_run(composed.server)
    prove(logged, composed.server)

    composed.run("down")
    composed.run("up", "--detach", "--wait")

    prove(logged, composed.server)


def test_a_second_start_changes_nothing(composed: Composed) -> None:
    before = containers(composed)
    composed.run("up", "--detach", "--wait")

    assert containers(composed) == before


def test_every_container_is_confined(composed: Composed) -> None:
    for found in json.loads(docker("inspect", *containers(composed))):
        settings = found["HostConfig"]
        assert settings["ReadonlyRootfs"]
        assert settings["CapDrop"] == ["ALL"]
        assert settings["SecurityOpt"] == ["no-new-privileges:true"]
        assert settings["Memory"] > 0
        assert settings["RestartPolicy"]["Name"] == "unless-stopped"


def test_no_process_is_root(composed: Composed) -> None:
    for container in containers(composed):
        uids = {line.split()[1] for line in docker("top", container, "-eo", "pid,uid").splitlines()[1:]}
        assert "0" not in uids


def test_secrets_are_in_files_only(composed: Composed) -> None:
    assert "planted-secret" not in docker("inspect", *containers(composed))
    for container in containers(composed):
        assert "planted-secret" not in docker("top", container, "-eo", "pid,args")


def test_runs_are_in_the_database_that_was_asked_for(composed: Composed) -> None:
    with_database = composed.environment["COMPOSE_PROFILES"] == "postgresql"

    assert len(containers(composed)) == 1 + with_database
    assert (composed.server.backend / "planted-secret.db").exists() is not with_database
