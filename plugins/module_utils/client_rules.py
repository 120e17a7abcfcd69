# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mlflow_client refuses, judged from its inputs and from what the host shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import installation, password_kind
from ansible_collections.selfhosted.mlflow.plugins.module_utils.account_ids import Account, Known, conflicts
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UMASK = re.compile(r"0?[0-7]{3}")
#: Characters on which a shell, systemd.exec(5)'s EnvironmentFile and environment.d(5) don't agree.
_AMBIGUOUS = re.compile(r"[\n\r\"'\\$`]")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|PASSPHRASE|PRIVATE_KEY")


@dataclass(frozen=True)
class ClientInputs:
    """The role's inputs that can be wrong; an empty string means "not set".

    Of ``credentials`` there are the users only, and the kinds of their passwords (password_kind).
    """

    tracking_uri: str
    shared_group: str
    shared_gid: int
    users: tuple[str, ...] = ()
    ca_bundle: str = ""
    umask: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    credentials: tuple[str, ...] = ()
    password_kinds: tuple[str, ...] = ()
    library: Optional[installation.Install] = None


@dataclass(frozen=True)
class ClientHost:
    """What the host shows; ``unknown_users`` are those of the inputs that it doesn't have.

    ``homeless`` are those who are given credentials and have no home here.
    """

    groups: Known
    unknown_users: tuple[str, ...]
    ca_bundle_readable: bool
    python: Optional[installation.Interpreter] = None
    wheelhouse_exists: bool = False
    homeless: tuple[str, ...] = ()


def _tracking_uri(inputs: ClientInputs) -> Iterator[Problem]:
    if not inputs.tracking_uri:
        yield Problem(
            found="mlflow_client_tracking_uri is empty and no host is in the group mlflow_server",
            why="MLflow's client would log into a directory of its own, and nobody would see the runs",
            instead="set mlflow_tracking_uri, for example http://mlflow.example.org:5000",
        )
        return
    uri = urlsplit(inputs.tracking_uri)
    if uri.scheme not in ("http", "https") or not uri.hostname:
        yield Problem(
            found=f"mlflow_client_tracking_uri is {inputs.tracking_uri!r}",
            why="a client talks to a server by http or https; any other address makes it its own store",
            instead="write the server's address, for example http://mlflow.example.org:5000",
        )
    elif uri.password is not None:
        yield Problem(
            found="mlflow_client_tracking_uri holds a password",
            why="the environment file is readable by every user of the host",
            instead="leave user and password out of the address and give each user credentials of their own",
        )


def _environment(inputs: ClientInputs) -> Iterator[Problem]:
    for name, value in inputs.environment:
        if not _VARIABLE_NAME.fullmatch(name):
            yield Problem(
                found=f"mlflow_client_environment has the name {name!r}",
                why="it can't be the name of an environment variable",
                instead="use letters, digits and _ only, not starting with a digit",
            )
        elif _SECRET_NAME.search(name):
            yield Problem(
                found=f"mlflow_client_environment sets {name}",
                why="the environment file is readable by every user of the host",
                instead="keep secrets in a file of the user's own with mode 0600",
            )
        elif _AMBIGUOUS.search(value):
            yield Problem(
                found=f"the value of {name} in mlflow_client_environment has a quote, $, backslash or line break",
                why="shells and systemd read these differently, so programs would see different values",
                instead="use a value without them",
            )


def _umask(inputs: ClientInputs) -> Iterator[Problem]:
    if inputs.umask and not _UMASK.fullmatch(inputs.umask):
        yield Problem(
            found=f"mlflow_client_umask is {inputs.umask!r}",
            why="a umask is three octal digits",
            instead='write it quoted, for example "0002"',
        )


def _users(inputs: ClientInputs, host: ClientHost) -> Iterator[Problem]:
    if host.unknown_users:
        yield Problem(
            found=f"mlflow_client_users names {', '.join(host.unknown_users)}, unknown on this host",
            why="only an existing user can be put into a group",
            instead="create the user first or take the name out",
        )
    group = Account("group", inputs.shared_group, inputs.shared_gid, "mlflow_shared_group", "mlflow_shared_gid")
    yield from conflicts([group], users=Known({}, {}), groups=host.groups)


def _credentials(inputs: ClientInputs, host: ClientHost) -> Iterator[Problem]:
    if host.homeless:
        yield Problem(
            found=f"mlflow_client_credentials names {', '.join(host.homeless)}, without an account or a home on this host",
            why="the file is read in the user's own home",
            instead="create the user with a home first or take the name out",
        )
    twice = sorted({user for user in inputs.credentials if inputs.credentials.count(user) > 1})
    if twice:
        yield Problem(
            found=f"mlflow_client_credentials has {', '.join(twice)} more than once",
            why="MLflow's client knows one account for each user",
            instead="leave one",
        )
    for user, kind in zip(inputs.credentials, inputs.password_kinds):
        if kind in (password_kind.NONE, password_kind.NO_TEXT, password_kind.ODD):
            yield Problem(
                found=f"the password of {user} in mlflow_client_credentials is empty, no text, or has odd characters",
                why="the file could not hold it, or MLflow would not read what was meant",
                instead="write it between quotes, without line breaks or blanks at the ends",
            )


def _ca_bundle(inputs: ClientInputs, host: ClientHost) -> Iterator[Problem]:
    if inputs.ca_bundle and not host.ca_bundle_readable:
        yield Problem(
            found=f"mlflow_client_ca_bundle is {inputs.ca_bundle}, and there is no such readable file on this host",
            why="every request of MLflow's client would fail to verify the server",
            instead="copy the CA certificates there first, or leave it empty to use the system's",
        )


def _library(inputs: ClientInputs, host: ClientHost) -> Iterator[Problem]:
    if inputs.library and host.python:
        yield from installation.problems(inputs.library, host.python, host.wheelhouse_exists)


def judge(inputs: ClientInputs, host: ClientHost) -> list[Problem]:
    """Return everything that is wrong, in the order of the README's inputs."""
    of_inputs: tuple[Callable[[ClientInputs], Iterator[Problem]], ...] = (_tracking_uri, _environment, _umask)
    of_host: tuple[Callable[[ClientInputs, ClientHost], Iterator[Problem]], ...] = (
        _users,
        _credentials,
        _ca_bundle,
        _library,
    )
    problems = [problem for rule in of_inputs for problem in rule(inputs)]
    return problems + [problem for rule in of_host for problem in rule(inputs, host)]
