"""The image is what it says it is, and the registry has it."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable

from lab.container import docker

NAME = "127.0.0.1:15055/test/mlflow"
REGISTRY = "mlflow-image-registry"


def test_the_image_tells_what_an_engine_asks(image: str) -> None:
    (found,) = json.loads(docker("image", "inspect", image))

    assert found["Config"]["User"] == "850"
    assert found["Config"]["Labels"]["org.opencontainers.image.version"] == "3.17.2"
    assert found["Config"]["Healthcheck"]["Test"][-1] == "ready"
    assert list(found["Config"]["ExposedPorts"]) == ["5000/tcp"]


def test_what_was_needed_to_build_it_stayed_outside(image: str) -> None:
    listed = docker("run", "--rm", "--entrypoint", "ls", image, "/", "/opt/mlflow/bin")

    assert "build" not in listed.split()
    assert "pip" not in listed.split()


def test_the_registry_has_it_under_its_tag(image: str) -> None:
    with urllib.request.urlopen("http://127.0.0.1:15055/v2/test/mlflow/tags/list", timeout=30) as answer:
        assert json.load(answer)["tags"] == [image.removeprefix(f"{NAME}:")]


def test_a_registry_that_lost_it_gets_it_again(run_image: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    docker("exec", REGISTRY, "rm", "-r", "/var/lib/docker-registry/docker")
    docker("restart", REGISTRY)

    for arguments, changed in ((["--check"], 1), ([], 1), ([], 0)):
        run = run_image(*arguments)
        assert run.returncode == 0, run.stdout
        assert f"changed={changed}" in run.stdout, run.stdout
