# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hash-locked virtual environments: what one is made from, and with which commands.

Nothing here touches the host: see releases.py for the directories on disk.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Raised with the recipe's meaning: releases built by an older one are built anew.
_RECIPE_VERSION = 1
_DIGEST_LENGTH = 12

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
#: PEP 508's name and extras, and an exact version of PEP 440.
_PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<extras>\[[^]]*\])?==(?P<version>[A-Za-z0-9.!+_-]+)")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")

#: Runs pip from the wheel that the standard library's ensurepip carries (Debian keeps
#: it elsewhere), so that neither the host nor the environment needs a pip of its own.
RUN_PIP = """
import ensurepip, pathlib, runpy, sys
homes = [getattr(ensurepip, "_WHEEL_PKG_DIR", None), "/usr/share/python-wheels",
         pathlib.Path(ensurepip.__file__).parent / "_bundled"]
wheels = [wheel for home in homes if home for wheel in pathlib.Path(home).glob("pip-*.whl")]
sys.path.insert(0, str(wheels[0]))
sys.argv[0] = "pip"
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a release contains.

    ``requirements`` is the text of a hash-locked file, ``extra_packages`` are exact
    pins without hashes, ``python`` the interpreter's path with symbolic links resolved.
    """

    name: str
    requirements: str
    extra_packages: tuple[str, ...]
    python: str
    installer: str

    def __post_init__(self) -> None:
        """Raise ValueError for what would not be reproducible."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r} can't be a directory's name: use letters, digits and . _ + -")
        pins(self.requirements)
        for package in self.extra_packages:
            if not is_pin(package):
                raise ValueError(f"extra package {package!r} is not an exact pin like boto3==1.40.1")

    @property
    def release(self) -> str:
        """The name of the release directory: the same recipe gives the same name."""
        meaning = json.dumps(
            [
                _RECIPE_VERSION,
                requirement_lines(self.requirements),
                self.extra_packages,
                self.python,
                self.installer,
            ],
        )
        return f"{self.name}-{hashlib.sha256(meaning.encode()).hexdigest()[:_DIGEST_LENGTH]}"


@dataclass(frozen=True)
class Sources:
    """Where packages come from; none of it changes what a release contains.

    ``wheelhouse`` is a directory that replaces every index, ``index_url`` may hold a
    password and is only ever passed in the environment.
    """

    wheelhouse: str = ""
    index_url: str = ""


@dataclass(frozen=True)
class Command:
    """A program to run: what it is for, its arguments, and the exit codes that are fine."""

    purpose: str
    argv: tuple[str, ...]
    accepted: tuple[int, ...] = (0,)


def is_pin(requirement: str) -> bool:
    """Return whether a requirement names one exact version."""
    return _PIN.fullmatch(requirement) is not None


def requirement_lines(text: str) -> list[str]:
    """Return the logical lines of a requirements file: joined, without comments or blanks."""
    joined = re.sub(r"\\\s*\n", " ", text)
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in joined.splitlines())
    return [" ".join(line.split()) for line in lines if line.strip()]


def pins(text: str) -> dict[str, str]:
    """Return version by package name of a hash-locked requirements file.

    Raises ValueError naming the first line that isn't ``name==version`` with at least
    one sha256 hash.  Options such as ``--index-url`` are refused too: they would smuggle
    an address, perhaps with a password, into a file on the host.
    """
    found: dict[str, str] = {}
    for line in requirement_lines(text):
        requirement, *options = re.split(r"\s+(?=--)", line)
        match = _PIN.fullmatch(requirement.partition(";")[0].strip())
        if match is None:
            raise ValueError(f"requirement {line[:80]!r} is not an exact pin with hashes")
        if not options or not all(_HASH.fullmatch(option) for option in options):
            raise ValueError(f"requirement {requirement!r} lacks a --hash=sha256:… of 64 digits")
        found[match["name"]] = match["version"]
    if not found:
        raise ValueError("requirements holds no packages")
    return found


def constraints(text: str) -> str:
    """Return a locked file's pins as constraints, so that extra packages can't move them."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins(text).items()))


def environment(base: Mapping[str, str], sources: Sources, cache: str, bundle: str) -> dict[str, str]:
    """Return the variables to add to ``base`` for every command.

    ``cache`` is a directory on the releases' file system, so that uv links instead of
    copying; ``bundle`` the host's CA file or ''.  What the host already sets stays.
    """
    added = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    preferred = {"UV_CACHE_DIR": f"{cache}/uv", "PIP_CACHE_DIR": f"{cache}/pip"}
    if bundle:
        preferred.update(SSL_CERT_FILE=bundle, PIP_CERT=bundle)
    added.update((key, value) for key, value in preferred.items() if key not in base)
    if sources.index_url:
        added.update(UV_DEFAULT_INDEX=sources.index_url, PIP_INDEX_URL=sources.index_url)
    return added


def _offline(sources: Sources) -> tuple[str, ...]:
    return ("--no-index", "--find-links", sources.wheelhouse) if sources.wheelhouse else ()


def bootstrap_uv(python: str, sources: Sources, lock: str, target: str) -> Command:
    """Return the command that installs uv from the hash-locked file ``lock`` into ``target``."""
    options = ("install", "--quiet", "--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:")
    argv = (python, "-I", "-c", RUN_PIP, *options, *_offline(sources), "--target", target, "--requirement", lock)
    return Command("install uv", argv)


def create(recipe: Recipe, directory: str, uv: str) -> Command:
    """Return the command that makes the empty environment ``directory``."""
    if recipe.installer == "uv":
        argv: tuple[str, ...] = (uv, "venv", "--quiet", "--no-project", "--python", recipe.python, directory)
    else:
        argv = (recipe.python, "-I", "-m", "venv", "--without-pip", directory)
    return Command("create the environment", argv)


def fill(recipe: Recipe, directory: str, uv: str, sources: Sources, compile_all: bool) -> list[Command]:
    """Return the commands that install into the environment ``directory``.

    Its requirements.txt and constraints.txt must have been written.
    """
    python = f"{directory}/bin/python"
    if recipe.installer == "uv":
        install: tuple[str, ...] = (uv, "pip", "install", "--python", python)
        if compile_all:
            # On all processors; pip would do it one file at a time.
            install = (*install, "--compile-bytecode")
    else:
        install = (python, "-I", "-c", RUN_PIP, "install", "--no-compile")
    install = (*install, "--quiet", *_offline(sources))
    locked = ("--require-hashes", "--no-deps", "--requirement", f"{directory}/requirements.txt")
    commands = [Command("install the locked packages", (*install, *locked))]
    if recipe.extra_packages:
        argv = (*install, "--constraint", f"{directory}/constraints.txt", *recipe.extra_packages)
        commands.append(Command("install the extra packages", argv))
    if recipe.installer == "pip" and compile_all:
        argv = (python, "-I", "-m", "compileall", "-q", "-j", "0", f"{directory}/lib")
        # 1: a package ships a file that isn't valid Python (a template, say); nobody imports it.
        commands.append(Command("compile bytecode", argv, (0, 1)))
    return commands


def verify(recipe: Recipe, directory: str, uv: str, imports: Sequence[str]) -> list[Command]:
    """Return the commands that tell whether the environment works.

    Importing as root also compiles what is imported.
    """
    python = f"{directory}/bin/python"
    check: tuple[str, ...] = (uv, "pip", "check", "--quiet", "--python", python)
    if recipe.installer == "pip":
        check = (python, "-I", "-c", RUN_PIP, "check")
    commands = [Command("check that the packages fit together", check)]
    if imports:
        argv = (python, "-I", "-c", "import " + ", ".join(imports))
        commands.append(Command("import what was installed", argv))
    return commands
