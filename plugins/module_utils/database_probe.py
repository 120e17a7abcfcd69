# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database must be like for the servers that are to use it, and what to do when it isn't.

Source: PostgreSQL's "Connections and Authentication" (which of max_connections are kept for whom); MariaDB's error
codes; SQLAlchemy's QueuePool (size and overflow); MLflow 3.17's mlflow/server/jobs (what runs jobs).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Of a server's processes that run jobs: 10 workers each for scorers, evaluations and issue detection, 5 each for two
#: kinds of online scoring, 2 for prompts, 5 for what comes periodically, and the one that starts them.
JOB_CONNECTIONS = 48
_SHOWN = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True)
class Demand:
    """How many connections may be opened: each of the servers' workers has a pool for each store.

    ``jobs`` says that each server runs jobs too, in processes of their own.
    """

    workers: int
    pool_size: int
    pool_overflow: int
    servers: int
    jobs: bool = False

    def connections(self, stores: int) -> int:
        """Return how many may be open at once to a database that holds so many stores."""
        pools = self.workers * stores * (self.pool_size + self.pool_overflow)
        return self.servers * (pools + (JOB_CONNECTIONS if self.jobs else 0))

    def __str__(self) -> str:
        servers = "1 server" if self.servers == 1 else f"{self.servers} servers"
        jobs = f", and {JOB_CONNECTIONS} of each server's jobs" if self.jobs else ""
        return f"{servers} x {self.workers} workers, each pool {self.pool_size} + {self.pool_overflow}{jobs}"


#: What the driver says, why that is, and what to do; the first that matches counts.
_REMEDIES: tuple[tuple[str, str, str], ...] = (
    (
        r"No module named|Can't load plugin",
        "the driver is not installed",
        "add it to mlflow_server_extra_packages, or use postgresql+psycopg or mysql+pymysql",
    ),
    (
        (
            r"[Nn]ame or service not known|failed to resolve|could not translate host name|name resolution|No address "
            r"associated|nodename nor"
        ),
        "this host can't resolve the database's name",
        "write the name that `getent hosts NAME` knows here, or the address",
    ),
    (
        r"password authentication failed|no password supplied|\(1045,|Access denied for user .*using password",
        "the database does not take this user with this password",
        "correct the password, or set it in the database; the role mlflow_database sets the one in mlflow_database",
    ),
    (
        r"[Pp]eer authentication failed|\(1698,",
        "by the socket the database lets in only the user of the account's own name",
        "name the user after mlflow_server_user, or give a password",
    ),
    (
        r'database ".*" does not exist|\(1049,|Unknown database',
        "the server runs and has no such database",
        "create it, which the role mlflow_database does, or correct its name",
    ),
    (
        r'role ".*" does not exist',
        "the server runs and has no such user",
        "create it, which the role mlflow_database does, or correct its name",
    ),
    (
        r"\(1044,|permission denied for database|CONNECT privilege",
        "the server runs and has no such database, or none that this user may use",
        "create or grant it, which the role mlflow_database does, or correct its name",
    ),
    (
        r"no encryption|SSL off|\(3159,|require_secure_transport|using insecure transport",
        "the database lets this user in by TLS only",
        "set tls: verify-full with tls_ca (or tls: require) in mlflow_server_database",
    ),
    (
        r"no pg_hba.conf entry|\(1130,|is not allowed to connect",
        "the database does not let this host in",
        "name this host among its clients: mlflow_database_clients, or its pg_hba.conf or user@host",
    ),
    (
        r"server does not support SSL|server doesn't support it|SSL connection error: .*not support",
        "the database has no TLS, and was not told anything without it",
        "set TLS up there, or tls: disable on a network that nobody else is on",
    ),
    (
        (
            r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|does not match host ?name|[Hh]ostname mismatch|"
            r"root certificate file|certificate file|private key file|sslrootcert|TLS file:|SSL error|SSLError"
        ),
        "the certificates do not prove what was asked for",
        (
            "correct tls_ca, which must be readable for the service's account and hold the authority of the database's "
            "certificate; and host, which the certificate must name"
        ),
    ),
    (
        r"too many clients|remaining connection slots|\(1040,|[Tt]oo many connections|\(1203,|\(1226,",
        "all its connections are taken",
        "end what holds them, or raise its max_connections",
    ),
    (
        (
            r"[Cc]onnection refused|No such file or directory|timed? ?out|timeout expired|[Nn]o route|unreachable|"
            r"starting up|shutting down|closed the connection|Lost connection|Connection reset"
        ),
        "nothing answers there",
        (
            "start the database (`systemctl status postgresql mariadb` on its host), or correct host and port; is a "
            "firewall between them?"
        ),
    ),
)


def parse(out: str) -> list[dict[str, Any]]:
    """Return what the program printed.  Raises ValueError when that is no answer."""
    answer = json.loads(out)
    if not isinstance(answer, list):
        raise ValueError("it printed no list")
    return answer


def refusal(where: str, name: str, text: str) -> Problem:
    """Return why a database could not be used, by what its driver said."""
    said = _CONTROL.sub(" ", text).strip()
    # Files of certificates are opened before anything is connected.
    if name in ("FileNotFoundError", "PermissionError", "SSLError", "IsADirectoryError"):
        said = f"TLS file: {said}"
    found = f"{where}: {said[:_SHOWN] or name}"
    for pattern, why, instead in _REMEDIES:
        if re.search(pattern, said):
            return Problem(found, why, instead)
    return Problem(found, "the server would fail on it", "correct the address, or what the database says of it")


def problems(answer: Mapping[str, Any], stores: int, demand: Demand) -> Iterator[Problem]:
    """Yield what is wrong with the database that holds so many of the server's stores."""
    where = str(answer.get("where", "the database"))
    error = answer.get("error")
    if error:
        yield refusal(where, str(error.get("name", "")), str(error.get("text", "")))
        return
    if not answer.get("may_create", True):
        yield Problem(
            f"{where}, may not create tables there",
            "MLflow makes and updates its tables itself",
            "make the user the owner of its database, which the role mlflow_database does",
        )
    if "max_connections" not in answer:
        return
    limits = {
        "max_connections": answer["max_connections"] - answer["reserved"],
        "the user's own limit": answer["user_limit"],
        "the database's own limit": answer["database_limit"],
    }
    name, least = min(((name, limit) for name, limit in limits.items() if limit >= 0), key=lambda pair: int(pair[1]))
    wanted = demand.connections(stores)
    if wanted > least:
        kept = f" ({answer['reserved']} of {answer['max_connections']} are kept for administrators)"
        yield Problem(
            f"{where}, lets in {least} connections by {name}{kept if name == 'max_connections' else ''}, "
            f"and MLflow may open {wanted}: {stores} stores, {demand}",
            "under load requests would fail with too many connections, those of others too",
            f"raise it to {wanted + answer['reserved']} or more (mlflow_database_max_connections), or lower "
            "mlflow_server_pool_size, mlflow_server_pool_overflow or mlflow_server_workers"
            + (", or set mlflow_server_job_execution: false" if demand.jobs else ""),
        )


def judge(stores: Sequence[str], answers: Mapping[str, Mapping[str, Any]], demand: Demand) -> list[Problem]:
    """Return what is wrong with the databases at the addresses of all ``stores``, by what each address answered.

    Jobs are kept in the first.
    """
    return [
        problem
        for address in dict.fromkeys(stores)
        for problem in problems(
            answers[address], stores.count(address), demand if address == stores[0] else replace(demand, jobs=False)
        )
    ]
