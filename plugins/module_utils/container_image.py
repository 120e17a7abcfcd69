# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images named by what they are made from, and what Docker says of them.

Nothing here touches the host: the module container_image runs the commands.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: On every image: the digest of what it was made from.
LABEL = "selfhosted.mlflow.image"
CONTAINERFILE = "Containerfile"
#: Raised with the recipe's meaning: images built by an older one are built anew.
_RECIPE_VERSION = 1
_DIGEST_LENGTH = 12

#: github.com/distribution/reference: an optional registry, then a path of lower case.
_REGISTRY = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:(?P<registry>{_REGISTRY})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_RELATIVE = re.compile(r"[\w.-]+(?:/[\w.-]+)*")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is in an image.

    ``files`` are the texts of the build's context by relative path, ``arguments`` the build's.
    """

    files: Mapping[str, str] = field(repr=False)
    arguments: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that differ when anything in the recipe differs."""
        meaning = json.dumps([_RECIPE_VERSION, dict(self.files), dict(self.arguments)], sort_keys=True)
        return hashlib.sha256(meaning.encode()).hexdigest()[:_DIGEST_LENGTH]


def registry(name: str) -> str:
    """Return the registry that an image's name begins with, '' when it names none.

    As Docker reads it: the first part is a registry when it looks like a host.
    """
    first, slash, _rest = name.partition("/")
    return first if slash and (first == "localhost" or re.search(r"[.:\[A-Z]", first)) else ""


def problems(name: str, tag: str, files: Sequence[str], push: bool) -> Iterator[Problem]:
    """Say what is wrong with the inputs."""
    if not _NAME.fullmatch(name):
        yield Problem(
            f"the image's name is {name!r}",
            "Docker takes a registry and a path of lower-case letters, digits and . _ - /, without tag or digest",
            "write it like registry.example.org/mlflow",
        )
    elif push and not registry(name):
        yield Problem(
            f"the image's name is {name!r}, and it is to be pushed",
            "a name without a registry's host means Docker Hub",
            "begin it with your registry, as registry.example.org/mlflow; Docker Hub's is docker.io",
        )
    if not _TAG.fullmatch(tag):
        yield Problem(
            f"the image's tag is {tag!r}",
            "a tag has up to 128 letters, digits and _ . -, and starts with none of the last two",
            "write it like 3.17.2, or leave it empty for one that names the content",
        )
    wrong = [path for path in files if not _RELATIVE.fullmatch(path) or ".." in path.split("/")]
    if wrong or CONTAINERFILE not in files:
        yield Problem(
            f"the files of the build are {', '.join(sorted(files)) or 'none'}",
            f"a build needs a {CONTAINERFILE}, and files inside of its own directory only",
            f"give relative paths, {CONTAINERFILE} among them",
        )


def is_current(inspected: Mapping[str, Any], digest: str) -> bool:
    """Return whether ``docker image inspect`` shows an image made from the recipe with this digest."""
    labels = (inspected.get("Config") or {}).get("Labels") or {}
    return bool(labels.get(LABEL) == digest)


def is_pushed(manifest: Mapping[str, Any], descriptor: str, inspected: Mapping[str, Any]) -> bool:
    """Return whether a registry's manifest is that of a local image.

    The image's id is the digest of its configuration, or with containerd's image store
    of the manifest itself, which is ``descriptor``.
    """
    configuration = (manifest.get("config") or {}).get("digest", "")
    return bool(inspected.get("Id")) and inspected["Id"] in (configuration, descriptor)


def is_insecure(name: str, registries: Mapping[str, Any]) -> bool:
    """Return whether the engine talks to a name's registry without checking certificates.

    ``registries`` is what ``docker info`` has as RegistryConfig.
    """
    host = registry(name)
    listed = (registries.get("IndexConfigs") or {}).get(host)
    if listed is not None:
        return not listed.get("Secure", True)
    plain = re.sub(r":[0-9]+$", "", host).strip("[]")
    if plain == "localhost":
        plain = "127.0.0.1"
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return False
    networks = [ipaddress.ip_network(cidr) for cidr in registries.get("InsecureRegistryCIDRs") or ()]
    return any(address.version == network.version and address in network for network in networks)
