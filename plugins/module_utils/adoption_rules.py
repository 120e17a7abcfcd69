# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a hand-made MLflow server from being taken over, by what was seen of it and is wished of the new one.

Source: systemd.unit(5) for drop-ins; MLflow's migrations, of which none leads back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible.module_utils.compat.version import LooseVersion

from ansible_collections.selfhosted.mlflow.plugins.module_utils import adopted_database, server_rules
from ansible_collections.selfhosted.mlflow.plugins.module_utils.deployment import Deployment
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Where systemd looks for the drop-ins of the new server's unit.
DROP_INS = tuple(
    f"{directory}/systemd/system/{server_rules.UNIT}.d/*.conf"
    for directory in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
)


@dataclass(frozen=True)
class Wish:
    """The new server: its release, its account, and its database, of which ``target_database`` is a file of SQLite's.

    ``backend_store_uri`` is an address without its password, '' for that file.
    """

    version: str
    owner: str
    target_database: str
    backend_store_uri: str = ""


@dataclass(frozen=True)
class Evidence:
    """What was seen on the host.

    ``has_database_file`` is true where the database is no file; ``room`` tells that copies of it don't fit;
    ``unreadable`` is a path that neither root nor the new server's account may read, '' for none; ``drop_ins`` are
    those of the new server's unit.
    """

    has_database_file: bool
    room: Optional[Problem] = None
    unreadable: str = ""
    drop_ins: Sequence[str] = ()


def judge(found: Deployment, wish: Wish, evidence: Evidence) -> list[Problem]:
    """Return what keeps a server from being taken over, nothing where it can be."""
    return [
        *_database(found, wish, evidence),
        *_artifacts(wish, evidence),
        *_unit(found, evidence),
    ]


def _database(found: Deployment, wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if found.version and LooseVersion(found.version) > LooseVersion(wish.version):
        yield Problem(
            f"the old server is MLflow {found.version}, the new one is to be {wish.version}",
            "a database can't go back to an older release",
            f"set mlflow_version to {found.version} or newer",
        )
    if not evidence.has_database_file:
        yield Problem(
            f"there is no file {found.database_file}, which the old server's arguments name",
            "its runs can't be found",
            "give mlflow_adopt_database and mlflow_adopt_artifact_directory",
        )
    if evidence.room:
        yield evidence.room
    another = adopted_database.problem(
        found.database, found.database_file, wish.backend_store_uri, wish.target_database
    )
    if another:
        yield another


def _artifacts(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if evidence.unreadable:
        yield Problem(
            f"neither root nor {wish.owner} may read {evidence.unreadable}",
            "the artifacts could not be moved: a share's server takes root for nobody (root_squash), perhaps",
            f"let {wish.owner} read them (on the file server: setfacl -R -m u:NUMBER:rX, with the account's number), or "
            "give this host no_root_squash until they are moved",
        )


def _unit(found: Deployment, evidence: Evidence) -> Iterator[Problem]:
    if evidence.drop_ins and found.unit == server_rules.UNIT:
        yield Problem(
            f"the old unit {found.unit} has {', '.join(sorted(evidence.drop_ins))}",
            "the new one has its name, and would be changed by them as well",
            "put what the new server needs of it into the inventory, and move the files away; the old server runs on "
            "meanwhile",
        )


def not_one(servers: Mapping[int, int], user: str) -> Problem:
    """Return that no server runs, or several: process numbers and the accounts' numbers; by choice only a user's."""
    account = f" of {user}" if user else ""
    if not servers:
        return Problem(
            f"no MLflow server{account} runs on this host",
            "what is to be taken over is told by its process",
            "start it, or give mlflow_adopt_database and mlflow_adopt_artifact_directory",
        )
    shown = ", ".join(f"{pid} of uid {uid}" for pid, uid in servers.items())
    return Problem(
        f"several MLflow servers{account} run on this host: {shown}",
        "only one can be taken over at a time",
        "name the account of one in mlflow_adopt_user, or stop the others",
    )


def runs_again(database: str, running: Mapping[int, str], copy: str, record: str) -> list[Problem]:
    """Return that an old server was started after its database had been copied, so that the copy lacks runs.

    ``running`` are the SQLite files that other servers have open, by their process; ``copy`` and ``record`` are what
    was made of the old one, ``database``.
    """
    return [
        Problem(
            f"process {pid} serves {database} again, which was copied for the new server",
            "the copy lacks what was logged since, and the play would go on with it",
            f"to begin anew with this server, stop mlflow.service and rename {copy} and {record}; to go on with the "
            "copy, stop the process",
        )
        for pid, file in running.items()
        if file and file == database
    ]
