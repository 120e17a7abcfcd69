from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import container_image
from ansible_collections.selfhosted.mlflow.plugins.module_utils.container_image import Recipe

FILES = {"Containerfile": "FROM scratch\n", "locks/py3.11.txt": "a==1\n"}
ENGINE = {
    "IndexConfigs": {
        "docker.io": {"Name": "docker.io", "Secure": True},
        "nas.example.org:5000": {"Name": "nas.example.org:5000", "Secure": False},
    },
    "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
}


def test_the_same_recipe_has_the_same_digest_in_any_order() -> None:
    digest = Recipe(FILES, {"A": "1", "B": "2"}).digest
    assert Recipe(dict(reversed(FILES.items())), {"B": "2", "A": "1"}).digest == digest
    assert len(digest) == 12


@pytest.mark.parametrize(
    ("files", "arguments"),
    [
        ({**FILES, "Containerfile": "FROM debian\n"}, {"A": "1"}),
        ({**FILES, "more": ""}, {"A": "1"}),
        (FILES, {"A": "2"}),
        (FILES, {}),
    ],
)
def test_another_recipe_has_another_digest(files: dict[str, str], arguments: dict[str, str]) -> None:
    assert Recipe(files, arguments).digest != Recipe(FILES, {"A": "1"}).digest


@pytest.mark.parametrize(
    ("name", "registry"),
    [
        ("mlflow", ""),
        ("team/mlflow", ""),
        ("registry.example.org/mlflow", "registry.example.org"),
        ("nas:5000/team/mlflow", "nas:5000"),
        ("localhost/mlflow", "localhost"),
        ("[::1]:5000/mlflow", "[::1]:5000"),
    ],
)
def test_registry(name: str, registry: str) -> None:
    assert container_image.registry(name) == registry
    assert list(container_image.problems(name, "1", list(FILES), push=bool(registry))) == []


@pytest.mark.parametrize(
    ("name", "tag", "files", "push", "found"),
    [
        ("Mlflow", "1", [*FILES], False, "name is 'Mlflow'"),
        ("mlflow:1", "1", [*FILES], False, "name is 'mlflow:1'"),
        ("https://r.example.org/mlflow", "1", [*FILES], True, "name is 'https:"),
        ("", "1", [*FILES], False, "name is ''"),
        ("mlflow", "1", [*FILES], True, "to be pushed"),
        ("mlflow", "", [*FILES], False, "tag is ''"),
        ("mlflow", "a b", [*FILES], False, "tag is 'a b'"),
        ("mlflow", "-x", [*FILES], False, "tag is '-x'"),
        ("mlflow", "1", [], False, "files of the build are none"),
        ("mlflow", "1", ["Containerfile", "../x"], False, "../x"),
        ("mlflow", "1", ["Containerfile", "/etc/x"], False, "/etc/x"),
    ],
)
def test_what_is_refused(name: str, tag: str, files: list[str], push: bool, found: str) -> None:
    (problem,) = container_image.problems(name, tag, files, push)
    assert found in problem.found


@pytest.mark.parametrize(
    ("inspected", "current"),
    [
        ({"Config": {"Labels": {container_image.LABEL: "abc"}}}, True),
        ({"Config": {"Labels": {container_image.LABEL: "abd"}}}, False),
        ({"Config": {"Labels": None}}, False),
        ({}, False),
    ],
)
def test_an_image_is_known_by_its_label(inspected: dict[str, Any], current: bool) -> None:
    assert container_image.is_current(inspected, "abc") is current


@pytest.mark.parametrize(
    ("manifest", "descriptor", "inspected", "pushed"),
    [
        ({"config": {"digest": "sha256:a"}}, "sha256:m", {"Id": "sha256:a"}, True),
        ({"config": {"digest": "sha256:a"}}, "sha256:m", {"Id": "sha256:m"}, True),
        ({"config": {"digest": "sha256:a"}}, "sha256:m", {"Id": "sha256:b"}, False),
        ({}, "", {}, False),
    ],
)
def test_a_registry_has_it_when_it_has_this_very_image(
    manifest: dict[str, Any], descriptor: str, inspected: dict[str, Any], pushed: bool
) -> None:
    assert container_image.is_pushed(manifest, descriptor, inspected) is pushed


@pytest.mark.parametrize(
    ("name", "insecure"),
    [
        ("127.0.0.1:5000/mlflow", True),
        ("localhost:5000/mlflow", True),
        ("[::1]:5000/mlflow", True),
        ("nas.example.org:5000/mlflow", True),
        ("nas.example.org/mlflow", False),
        ("docker.io/me/mlflow", False),
        ("192.0.2.1:5000/mlflow", False),
        ("mlflow", False),
    ],
)
def test_certificates_are_left_unchecked_only_where_the_engine_does(name: str, insecure: bool) -> None:
    assert container_image.is_insecure(name, ENGINE) is insecure
