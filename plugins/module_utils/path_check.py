# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's side of a check: all users at all places at once, each in a child that can be given up."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    path_evidence,
    path_files,
    path_host,
    path_prober,
    path_proof,
    path_watch,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.bounded import Child, NoAnswerError, run
from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry, covering
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Evidence
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_host import Account, Share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_prober import Place
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_watch import Limits, Probe


@dataclass(frozen=True)
class Check:
    """What holds for a whole check on this host; ``umask`` is a number, ``write`` is false in check mode."""

    run: str
    client: str
    mounts: tuple[MountEntry, ...]
    limits: Limits
    umask: int
    write: bool = True


@dataclass(frozen=True)
class Target:
    """A directory to prove: ``place`` is None when the server could leave no sentinel there."""

    path: str
    share: Share
    place: Optional[Place] = None
    below: tuple[Place, ...] = ()


@dataclass(frozen=True)
class Visit:
    """A user who writes into what a colleague has made at a path."""

    path: str
    user: Account
    colleague: Member


def _file_server(check: Check, path: str) -> Optional[path_watch.FileServer]:
    return path_watch.file_server(covering(check.mounts, path))


def unknown(user: str, path: str) -> Evidence:
    """Return the evidence about a user whom this host does not have."""
    return Evidence(path=path, user=user, uid=-1, gid=-1, unknown_user=True)


def _seen(start: Evidence, told: dict[str, Any]) -> Evidence:
    return path_evidence.from_dict({**start.as_dict(), **told})


def prove(check: Check, targets: Sequence[Target], users: Sequence[Account]) -> list[Evidence]:
    """Return what each user has seen at each target.

    Raises PermissionError when this process can't act as one of the users.
    """
    started, probes = [], []
    for target in targets:
        for user in users:
            task = path_prober.Task(
                path=target.path,
                member=Member(check.client, user.name),
                run=check.run,
                sentinel=target.place,
                below=target.below,
                umask=check.umask,
                write=check.write,
                mounts=None if path_host.reads_own_mounts() else check.mounts,
            )
            start = path_host.evidence(target.path, user, check.mounts, target.share)
            started.append(replace(start, only_looked=not check.write))
            child = Child(functools.partial(path_prober.probe, task), user.identity())
            probes.append(Probe(child, _file_server(check, target.path)))
    return [_seen(start, told) for start, told in zip(started, path_watch.follow(probes, check.limits))]


def visit(check: Check, visits: Sequence[Visit]) -> list[Evidence]:
    """Return what each visitor has met in the colleague's directory.

    Raises PermissionError when this process can't act as one of the users.
    """
    started, probes = [], []
    for one in visits:
        member = Member(check.client, one.user.name)
        work = functools.partial(path_prober.join, one.path, check.run, member, one.colleague, check.umask)
        start = path_host.evidence(one.path, one.user, check.mounts, Share())
        started.append(replace(start, colleague=f"{one.colleague.user} on {one.colleague.client}"))
        probes.append(Probe(Child(work, one.user.identity()), _file_server(check, one.path)))
    return [_seen(start, told) for start, told in zip(started, path_watch.follow(probes, check.limits))]


def _remove(path: str, run_name: str, member: Member) -> list[str]:
    """Remove what a member has made at a path, in this check and in killed ones of days ago."""
    names = [path_proof.reply_directory(run_name, member)]
    names += [name for name in path_files.left_probes(path) if name.endswith(f"-{member.key}")]
    removed = []
    for name in names:
        with contextlib.suppress(OSError):
            if path_files.remove_probe(path, name):
                removed.append(name)
    return removed


def clean_up(check: Check, paths: Sequence[str], users: Sequence[Account]) -> list[str]:
    """Remove what the users have made, as themselves, and return the paths of what is gone."""
    removed = []
    for path in paths:
        for user in users:
            work = functools.partial(_remove, path, check.run, Member(check.client, user.name))
            with contextlib.suppress(OSError, NoAnswerError):
                names = run(work, check.limits.timeout, user.identity())
                removed += [f"{path}/{name}" for name in names]
    return removed
