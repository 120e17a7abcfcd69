# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mlflow_database refuses before it changes anything, and whom it lets in.

Source: PostgreSQL's "The pg_hba.conf File"; MariaDB's "Account Names" (how a host or network is written).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_rules import NO_TEXT, NONE, UNICODE
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

#: What stands unquoted in configuration files and statements, also those of other tools.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_OWN_DATABASES = frozenset(
    ("postgres", "template0", "template1", "mysql", "sys", "information_schema", "performance_schema")
)
_OWN_USERS = frozenset(("postgres", "root", "mysql", "mariadb", "public"))
_LISTEN = re.compile(r"\*|[0-9A-Fa-f.:]+")
_LAST_PORT = 65535
_FEWEST_CONNECTIONS = 10


@dataclass(frozen=True)
class Wish:
    """The inputs; of the password only its kind."""

    engine: str = "postgresql"
    release: str = "15"
    name: str = "mlflow"
    user: str = "mlflow"
    secret: str = NONE
    port: int = 5432
    clients: tuple[str, ...] = ()
    listen_addresses: tuple[str, ...] = ("*",)
    tls_required: bool = True
    tls_certificate: str = ""
    tls_key: str = ""
    max_connections: int = 0


@dataclass(frozen=True)
class Cluster:
    """One of Debian's clusters of PostgreSQL."""

    version: str
    name: str
    port: int

    @property
    def directory(self) -> str:
        """Where its configuration is."""
        return f"/etc/postgresql/{self.version}/{self.name}"

    @property
    def service(self) -> str:
        """Its unit, which other clusters have no part in."""
        return f"postgresql@{self.version}-{self.name}.service"


@dataclass(frozen=True)
class Evidence:
    """What was found on the host; of a server that does not run, nothing but its clusters.

    ``resolved`` has the addresses of clients that are named; ``owner`` is that of the database, '' when there is none;
    ``owns`` are the user's other databases; ``powers`` says that it is an administrator.
    """

    clusters: tuple[Cluster, ...] = ()
    resolved: Mapping[str, Sequence[str]] = field(default_factory=dict)
    missing_files: tuple[str, ...] = ()
    owner: str = ""
    owns: tuple[str, ...] = ()
    powers: bool = False


def network(text: str) -> Network:
    """Return a client's address as a network.  Raises ValueError for a name."""
    return ipaddress.ip_network(text, strict=False)


def networks(wish: Wish, evidence: Evidence) -> list[Network]:
    """Return what the clients stand for, each once."""
    found: list[Network] = []
    for client in wish.clients:
        try:
            found.append(network(client))
        except ValueError:
            found += [network(address) for address in sorted(evidence.resolved.get(client, ()))]
    return list(dict.fromkeys(found))


def account_host(client: Network) -> str:
    """Return a network in MariaDB's notation; the host itself is known to it by name."""
    if client.is_loopback:
        return "localhost"
    if client.num_addresses == 1:
        return str(client.network_address)
    return f"{client.network_address}/{client.netmask}"


def let_in(wish: Wish, evidence: Evidence) -> list[dict[str, object]]:
    """Return the clients as the tasks need them; for MariaDB each account once."""
    told: dict[str, dict[str, object]] = {}
    for client in networks(wish, evidence):
        host = account_host(client)
        key = host if wish.engine == "mysql" else str(client)
        told[key] = {
            "network": str(client),
            "account_host": host,
            "tls": wish.tls_required and not client.is_loopback,
        }
    return list(told.values())


def cluster(wish: Wish, evidence: Evidence) -> Cluster:
    """Return the cluster that is meant: the one of the port, or the one that the packages make."""
    return next((one for one in evidence.clusters if one.port == wish.port), Cluster(wish.release, "main", wish.port))


def _names(wish: Wish) -> Iterator[Problem]:
    for what, value, own in (("name", wish.name, _OWN_DATABASES), ("user", wish.user, _OWN_USERS)):
        if not _NAME.fullmatch(value) or value in own:
            yield Problem(
                f"mlflow_database_{what} is {value!r}",
                "it must be a plain name, and not one of the server's own",
                "use small letters, digits and _, a letter first, at most 31 of them",
            )
    if wish.secret == NO_TEXT:
        yield Problem(
            "mlflow_database_password is not a text",
            "YAML reads digits without quotes as a number, and may change them",
            "put it between quotes",
        )
    if wish.engine == "mysql" and wish.secret == UNICODE:
        yield Problem(
            "mlflow_database_password has other characters than those of ASCII, and the engine is mysql",
            "PyMySQL sends a password as Latin-1, and the database would keep it as UTF-8",
            "use letters, digits and the signs of ASCII",
        )


def _clients(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    for client in wish.clients:
        try:
            found = network(client)
        except ValueError:
            if not evidence.resolved.get(client):
                yield Problem(
                    f"mlflow_database_clients has {client!r}, which this host can't resolve",
                    "the database lets clients in by address",
                    "write the client's address, a network such as 10.0.7.0/24, or a name that `getent hosts` knows here",
                )
            continue
        if found.prefixlen == 0:
            yield Problem(
                f"mlflow_database_clients has {client!r}",
                "that is everybody",
                "name the hosts or the network of the MLflow servers",
            )
        elif wish.engine == "mysql" and ":" in client and found.num_addresses > 1:
            yield Problem(
                f"mlflow_database_clients has {client!r}, and the engine is mysql",
                "MariaDB knows no networks of IPv6",
                "name each address",
            )
    remote = any(not client.is_loopback for client in networks(wish, evidence))
    if wish.clients and wish.secret == NONE:
        yield Problem(
            f"mlflow_database_clients has {', '.join(wish.clients)}, and there is no password",
            "only by the host's socket an account is known without one",
            "write mlflow_database.password, or leave out mlflow_database.host",
        )
    if remote and wish.tls_required and not wish.tls_certificate:
        yield Problem(
            f"mlflow_database_clients has {', '.join(wish.clients)}, and there is no certificate",
            "what is logged would cross the network readable",
            "write mlflow_database_tls_certificate and mlflow_database_tls_key; or mlflow_database.tls: disable, on a "
            "network that nobody else is on",
        )
    if remote and not all(_LISTEN.fullmatch(address) for address in wish.listen_addresses or ("",)):
        yield Problem(
            f"mlflow_database_listen_addresses is {list(wish.listen_addresses)}",
            "the server listens on addresses of its host",
            'write addresses without port or brackets, or ["*"] for all',
        )


def _files(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if bool(wish.tls_certificate) != bool(wish.tls_key):
        yield Problem(
            "one of mlflow_database_tls_certificate and mlflow_database_tls_key is given",
            "a server has both",
            "write both, or none",
        )
    for path in evidence.missing_files:
        yield Problem(f"there is no file {path} on this host", "the server would be given it", "put it there first")


def _server(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if not 0 < wish.port <= _LAST_PORT:
        yield Problem(f"mlflow_database_port is {wish.port}", "65535 is the last", "write 5432 or 3306")
    if wish.max_connections and wish.max_connections < _FEWEST_CONNECTIONS:
        yield Problem(
            f"mlflow_database_max_connections is {wish.max_connections}",
            "administrators need some of them, and each worker of MLflow many",
            "write 100 or more, or 0 to leave it as it is",
        )
    if not wish.release and not evidence.clusters:
        yield Problem(
            "this is neither Debian 12 nor 13",
            "the role knows the packages and paths of those",
            "set the database up by other means, and give its address to the server alone",
        )
    if evidence.clusters and wish.port not in [one.port for one in evidence.clusters]:
        listed = ", ".join(f"{one.version}/{one.name} on {one.port}" for one in evidence.clusters)
        yield Problem(
            f"mlflow_database_port is {wish.port}, and this host's PostgreSQL is {listed}",
            "the role moves nobody's port, and makes no second cluster",
            "write the port of the cluster that is meant",
        )


def _belongings(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if evidence.owner not in ("", wish.user):
        yield Problem(
            f"the database {wish.name} is there and belongs to {evidence.owner}",
            "the role changes nobody else's database",
            "write another mlflow_database_name, or the user that it belongs to in mlflow_database_user",
        )
    if evidence.powers:
        yield Problem(
            f"the user {wish.user} is there and is an administrator",
            "MLflow needs a user who can do nothing else, and the role would take the powers away",
            "write another mlflow_database_user",
        )
    if evidence.owns:
        yield Problem(
            f"the user {wish.user} has other databases, too: {', '.join(evidence.owns)}",
            "the role would change the password that they are used with",
            "write another mlflow_database_user",
        )


def judge(wish: Wish, evidence: Evidence) -> list[Problem]:
    """Return every reason not to go on."""
    return [
        *_server(wish, evidence),
        *_names(wish),
        *_clients(wish, evidence),
        *_files(wish, evidence),
        *_belongings(wish, evidence),
    ]
