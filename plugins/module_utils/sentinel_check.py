# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's side of a check, carried out: as whom, in whose view of the directories, and for how long."""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    bounded,
    mount_table,
    mountinfo,
    path_classes,
    path_evidence,
    path_host,
    path_proof,
    path_sentinel,
    path_watch,
    reply_classes,
    server_process,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Child, Identity, NoAnswerError
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mount_table import Runner
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Evidence
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_host import Account, Share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_sentinel import Claim, Collecting, Planting
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_watch import Limits, Probe
from ansible_collections.selfhosted.mlflow.plugins.module_utils.reply_classes import Seen
from ansible_collections.selfhosted.mlflow.plugins.module_utils.server_process import NotSeenError, View

_HOST_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    """What holds for a whole check; ``view`` is None when the directories are looked at as the host has them."""

    run: str
    who: Account
    identity: Optional[Identity]
    mounts: tuple[MountEntry, ...]
    limits: Limits
    write: bool
    view: Optional[View] = None

    @property
    def root(self) -> Optional[int]:
        """The root directory of the view, as a descriptor."""
        return self.view.root if self.view else None


def _mounts(run: Runner) -> tuple[MountEntry, ...]:
    try:
        return mount_table.read_table(run)
    except (OSError, NoAnswerError):
        return ()


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _not_seen(process: str, reason: NotSeenError) -> Finding:
    return Finding(
        "server_process_not_seen",
        WARNING,
        f"{reason}, so that the paths were checked as the host has them, which need not be as the server has them",
        reason.remedy
        or f"start the server, or name its process (mlflow_artifact_check_server_process, now {process!r})",
    )


def _view(process: str, run: Runner) -> View:
    if os.geteuid() != 0:
        raise NotSeenError("only root can look into the server's process", "become root on the server")
    return server_process.look(server_process.find(process, run))


def prepare(
    run_name: str, user: str, process: str, limits: Limits, write: bool, run: Runner
) -> tuple[Check, list[Finding]]:
    """Return as whom and where to check, and what is worth knowing about that.

    Raises ValueError when there is no such user or ``process`` can't be read, PermissionError when this process
    can't act as the user.
    """
    notes = []
    if process:
        try:
            view = _view(process, run)
            identity = view.identity
            who = Account(_name(identity.uid), identity.uid, identity.gid, identity.groups)
            return Check(run_name, who, identity, view.mounts, limits, write, view), []
        except NotSeenError as reason:
            notes = [_not_seen(process, reason)]
    account = path_host.account(user)
    if account is None:
        raise ValueError(f"there is no user {user} on the server: name the one that the server runs as")
    return Check(run_name, account, account.identity(), _mounts(run), limits, write), notes


@dataclass(frozen=True)
class Planted:
    """What came of leaving sentinels at a path; ``nonces`` are those that were left."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    nonces: dict[str, str]
    share: Share

    def place(self) -> dict[str, Any]:
        """Return what clients are told of it."""
        path = self.evidence.path
        return {
            "path": path,
            "digest": path_proof.digest(self.nonces[path]) if path in self.nonces else "",
            "below": [
                {"path": where, "digest": path_proof.digest(nonce)}
                for where, nonce in self.nonces.items()
                if where != path
            ],
            "share": self.share.source,
            "share_at": self.share.at,
        }


def _share(mounts: Sequence[MountEntry], path: str) -> Share:
    entry = mountinfo.covering(mounts, path)
    if entry is None or entry.fstype not in ("nfs", "nfs4"):
        return Share()
    return Share(entry.source, entry.mount_point)


def _other_namespace(check: Check, path: str) -> Optional[Finding]:
    """Return a finding when the host shows another directory at a path than the server's process sees."""
    name = f"{path}/{path_proof.server_directory(check.run)}/{path_proof.SENTINEL}"
    if check.view is None or not check.write:
        return None
    with contextlib.suppress(OSError, NoAnswerError):
        # As the service's user: root is nobody on a share that squashes it.
        if bounded.run(functools.partial(os.path.isfile, name), _HOST_SECONDS, check.identity):
            return None
    outside = server_process.on_host(path, check.view.mounts, mountinfo.read())
    shown = f"the host's {outside}" if outside else "no directory that the host shows"
    return Finding(
        "other_namespace",
        WARNING,
        f"inside the server's process ({check.view.pid}) {path} is {shown}; what is at {path} on the host is another "
        "directory, and a client there writes past the server",
        f"mount the directory at the identical path inside and outside, for example "
        f"`--volume {path}:{path}` with the share mounted at {path} on the host",
    )


@contextlib.contextmanager
def _table(check: Check) -> Iterator[Optional[int]]:
    """Open the mount table of the view, for a child whose root directory may have no /proc."""
    if not path_host.reads_own_mounts():
        yield None
        return
    table = os.open(f"/proc/{check.view.pid if check.view else 'self'}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield table
    finally:
        os.close(table)


def plant(check: Check, path: str) -> Planted:
    """Leave the sentinels for a path.  Raises OSError when the server's process has ended meanwhile."""
    share = _share(check.mounts, path)
    server = path_watch.file_server(mountinfo.covering(check.mounts, path))
    with _table(check) as table:
        task = Planting(path, check.run, check.mounts, table, check.write)
        child = Child(functools.partial(path_sentinel.plant, task), check.identity, check.root)
        told = path_watch.follow([Probe(child, server)], check.limits)[0]
    nonces = told.pop("nonces", {})
    start = path_host.evidence(path, check.who, check.mounts, share).as_dict()
    seen = path_evidence.from_dict({**start, "only_looked": not check.write, **told})
    findings = path_classes.classify(seen)
    if not seen.replied:
        return Planted(seen, tuple(findings), {}, share)
    other = _other_namespace(check, path)
    return Planted(seen, tuple(findings + ([other] if other else [])), nonces, share)


@dataclass(frozen=True)
class Collected:
    """What came of the replies at a path: findings with what they are about, and whose replies are still there."""

    findings: tuple[tuple[Finding, dict[str, str]], ...]
    left: tuple[Member, ...]


def _unread(check: Check, path: str, error: str) -> Finding:
    return Finding(
        "replies_not_read",
        ERROR,
        f"the server could not read the replies at {path}: {error}",
        "see what else was found, and check again",
        {"user": check.who.name},
    )


def collect(check: Check, path: str, claims: tuple[Claim, ...], below: tuple[str, ...], patience: float) -> Collected:
    """Read the replies below a path, and remove everything that the check has made there."""
    entry = mountinfo.covering(check.mounts, path)
    wait = patience if entry is not None and entry.is_network else 0.0
    task = Collecting(path, check.run, claims, below, wait, check.write)
    child = Child(functools.partial(path_sentinel.collect, task), check.identity, check.root)
    limits = Limits(check.limits.timeout + wait, 0)
    told = path_watch.follow([Probe(child, path_watch.file_server(entry))], limits)[0]
    if "silence" in told or "failure" in told:
        error = told["failure"]["error"] if "failure" in told else "the file server does not answer"
        findings: list[tuple[Finding, dict[str, str]]] = [(_unread(check, path, error), {})] if claims else []
        return Collected(tuple(findings), tuple(claim.member for claim in claims))
    replies = dict(path_sentinel.reply_of(reply) for reply in child.result())
    seen = [Seen(path, check.who.name, claim, replies[claim.member]) for claim in claims]
    found = [(one, finding) for one in seen for finding in reply_classes.classify_reply(one)]
    found += reply_classes.differing_ids(seen)
    return Collected(
        tuple((finding, {"client": one.claim.member.client, "user": one.claim.member.user}) for one, finding in found),
        tuple(one.claim.member for one in seen if not one.reply.removed),
    )
