#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_image
short_description: Build a container image from files given as text, and push it
version_added: 1.0.0
description:
  - Builds an image with the C(docker) program of the host, unless an image of that name is made from the same files
    and arguments already, and pushes it to its registry, unless the registry has it.
  - The files are there while the build runs only.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  name:
    description: The image's name without a tag, with its registry where there is one.
    type: str
    required: true
  tag:
    description:
      - The image's tag. When empty, O(version) and a digest of O(files) and O(arguments), so that a tag never means
        two images.
    type: str
    default: ""
  version:
    description: What the tag begins with when O(tag) is empty.
    type: str
    default: image
  files:
    description:
      - The texts of the build's files by relative path, C(Containerfile) among them.
      - They are no secret, but kept out of the logs for their length.
    type: dict
    required: true
  private_files:
    description:
      - Further files that don't change what is built, such as pip's settings with a password. No output shows them. The
        Containerfile must not copy them into the last stage.
    type: dict
    default: {}
  arguments:
    description: The build's arguments by name. They stand in the image's history, so they can't be secrets.
    type: dict
    default: {}
  options:
    description: Further options of C(docker build), such as V(--pull) or V(--network=host).
    type: list
    elements: str
    default: []
  push:
    description: Whether to push the image to its registry. C(docker login) must have been done where one is needed.
    type: bool
    default: false
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
    details: An image that must be built is predicted to be pushed.
  diff_mode:
    support: full
  platform:
    platforms: posix
notes:
  - The base image is known by its name only. Name it by its digest, and the image's tag follows it; otherwise add
    V(--pull) and remove the old image to build on a newer one of the same name.
seealso:
  - module: community.docker.docker_image_build
    description: Builds with Buildx only.
"""

EXAMPLES = r"""
- name: Build and push
  selfhosted.mlflow.container_image:
    name: registry.example.org/mlflow
    version: 3.17.2
    files:
      Containerfile: "{{ lookup('ansible.builtin.file', 'Containerfile') }}"
      requirements.txt: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    arguments:
      BASE: docker.io/library/python:3.13-slim-trixie
    push: true
  register: image
"""

RETURN = r"""
image:
  description: Name and tag.
  returned: success
  type: str
  sample: registry.example.org/mlflow:3.17.2-0123456789ab
digest:
  description: Stands for all that the image is made from.
  returned: success
  type: str
  sample: 0123456789ab
id:
  description: The image's id, empty in check mode when it is still to be built.
  returned: success
  type: str
  sample: sha256:71fb579935f6c1ad3f4a0d2d5cbb1aa2bb0a0ab0a0ad1ad1a0ad1a0ad1a0ad1a
built:
  description: Whether it had to be built.
  returned: success
  type: bool
pushed:
  description: Whether it had to be pushed.
  returned: success
  type: bool
"""

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import container_image, environment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render

ERROR_LENGTH = 4000


class Docker:
    """The engine, through its program."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run docker, and return exit code, output and errors."""
        code, output, errors = self.module.run_command(["docker", *arguments])
        return code, output, errors

    def must(self, purpose: str, *arguments: str) -> str:
        """Return what docker says; raise ChildProcessError when it fails."""
        code, output, errors = self.run(*arguments)
        if code:
            said = "\n".join(text for text in (output.strip(), errors.strip()) if text)[-ERROR_LENGTH:]
            raise ChildProcessError(f"could not {purpose} (exit code {code}): {said}")
        return output

    def inspect(self, image: str) -> dict[str, Any]:
        """Return what the engine knows of an image, nothing when it has none of that name."""
        code, output, errors = self.run("image", "inspect", image)
        if code and "No such image" not in errors:
            raise ChildProcessError(f"could not look for the image {image} (exit code {code}): {errors.strip()}")
        found: list[dict[str, Any]] = json.loads(output or "[]")
        return found[0] if found else {}

    def has_pushed(self, name: str, image: str, inspected: dict[str, Any]) -> bool:
        """Return whether the registry has this very image."""
        registries = json.loads(self.must("ask the engine", "info", "--format", "{{json .RegistryConfig}}"))
        options = ["--insecure"] if container_image.is_insecure(name, registries or {}) else []
        code, output, _errors = self.run("manifest", "inspect", "--verbose", *options, image)
        if code:
            # Not there, or not to be asked; pushing tells.
            return False
        said = json.loads(output)
        if not isinstance(said, dict):
            # A list of images for several platforms is none of ours.
            return False
        manifest = said.get("SchemaV2Manifest") or said.get("OCIManifest") or {}
        return container_image.is_pushed(manifest, said.get("Descriptor", {}).get("digest", ""), inspected)


def write(directory: str, files: dict[str, Any]) -> None:
    """Write a build's context, for everybody to read: the image keeps the modes."""
    for path, text in files.items():
        target = os.path.join(directory, path)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        with open(target, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(target, 0o644)


def build(docker: Docker, image: str, recipe: container_image.Recipe) -> None:
    """Build the image in a directory that only its user can enter."""
    params = docker.module.params
    context = tempfile.mkdtemp(prefix="ansible-image-", dir=docker.module.tmpdir)
    umask = os.umask(0o022)
    try:
        write(context, {**recipe.files, **params["private_files"]})
        words = ["--label", f"{container_image.LABEL}={recipe.digest}"]
        for name, value in recipe.arguments.items():
            words += ["--build-arg", f"{name}={value}"]
        file = os.path.join(context, container_image.CONTAINERFILE)
        docker.must("build the image", "build", "--file", file, "--tag", image, *words, *params["options"], context)
    finally:
        os.umask(umask)
        shutil.rmtree(context)


def judge(module: AnsibleModule, docker: Docker, tag: str) -> list[Problem]:
    """Return all that is wrong with inputs and host."""
    params = module.params
    found = list(container_image.problems(params["name"], tag, list(params["files"]), params["push"]))
    if not module.get_bin_path("docker"):
        found.append(
            Problem(
                "there is no program docker on this host",
                "it builds the image",
                "install Docker, or name a host that has it",
            )
        )
    else:
        code, _output, errors = docker.run("version", "--format", "{{.Server.Version}}")
        if code:
            why = errors.strip() or "nothing was said"
            found.append(
                Problem(
                    "no Docker engine answers on this host",
                    f"it builds the image; docker says: {why}",
                    "start it, or run the play as a user who may talk to it",
                )
            )
    return found


def main() -> None:
    """Parse, judge, compare, build, push."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "tag": {"type": "str", "default": ""},
            "version": {"type": "str", "default": "image"},
            # No secret, but some 100 kB that would fill the host's journal at every run.
            "files": {"type": "dict", "required": True, "no_log": True},
            "private_files": {"type": "dict", "default": {}, "no_log": True},
            "arguments": {"type": "dict", "default": {}},
            "options": {"type": "list", "elements": "str", "default": []},
            "push": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    docker = Docker(module)
    arguments = {name: environment.as_text(value) for name, value in params["arguments"].items()}
    recipe = container_image.Recipe(params["files"], arguments)
    tag = params["tag"] or f"{params['version']}-{recipe.digest}"
    found = judge(module, docker, tag)
    if found:
        module.fail_json(msg=render(found), problems=[asdict(problem) for problem in found])
    image = f"{params['name']}:{tag}"
    try:
        before = docker.inspect(image)
        to_build = not container_image.is_current(before, recipe.digest)
        if to_build and not module.check_mode:
            build(docker, image, recipe)
        after = before if module.check_mode else docker.inspect(image)
        to_push = params["push"] and (not after or (module.check_mode and to_build))
        to_push = to_push or (params["push"] and not docker.has_pushed(params["name"], image, after))
        if to_push and not module.check_mode:
            docker.must("push the image", "push", image)
    except (OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=to_build or to_push,
        image=image,
        digest=recipe.digest,
        id="" if module.check_mode and to_build else after.get("Id", ""),
        built=to_build,
        pushed=to_push,
        diff={
            "before": describe(image, not to_build, params["push"] and not to_push),
            "after": describe(image, True, params["push"]),
        },
    )


def describe(image: str, built: bool, pushed: bool) -> str:
    """Return a diff's side: where this very image is."""
    places = [place for place, there in (("on this host", built), ("in its registry", pushed)) if there]
    return f"{image}: {' and '.join(places) or 'absent'}\n"


if __name__ == "__main__":
    main()
