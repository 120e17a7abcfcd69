# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the server found of a client's reply to what is wrong, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_remedies import share_with_colleagues
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_sentinel import (
    ABSENT,
    DENIED,
    DIFFERENT,
    ODD,
    Claim,
    Reply,
)

#: The kernel's overflow id: who has no number here, or is squashed to nobody.
NOBODY = 65534


@dataclass(frozen=True)
class Seen:
    """A claim and what the server, as ``service``, found of it below ``path``."""

    path: str
    service: str
    claim: Claim
    reply: Reply

    @property
    def who(self) -> str:
        """The member, for a message."""
        return f"{self.claim.member.user} on {self.claim.member.client}"


Rule = Callable[[Seen], Optional[Finding]]


def _replica(seen: Seen) -> Optional[Finding]:
    if seen.reply.state != ABSENT:
        return None
    return Finding(
        "replica",
        ERROR,
        f"{seen.who} found the server's sentinel at {seen.path} and wrote a reply, which never reached the server: "
        "the path looks like a synced copy or a snapshot of the share, not the share",
        f"on {seen.claim.member.client}: stop what copies {seen.path} there (rsync, Syncthing, a clone), move the copy "
        "aside, and mount the share itself",
    )


def _reply_differs(seen: Seen) -> Optional[Finding]:
    if seen.reply.state not in (DIFFERENT, ODD):
        return None
    odd = f" ({seen.reply.error})" if seen.reply.error else ""
    return Finding(
        "reply_differs",
        ERROR,
        f"what {seen.who} wrote is not what the server reads at {seen.path}{odd}: a copy under way, a damaged "
        "file system, or somebody who plays tricks",
        "check again; if it is the same then, look who else writes to the directory",
    )


def _service_denied(seen: Seen) -> Optional[Finding]:
    owner = f"it belongs to {seen.reply.uid}:{seen.reply.gid}, mode {seen.reply.mode:04o}"
    if seen.reply.state == DENIED:
        act = "read"
    elif seen.reply.removal_error in ("EACCES", "EPERM"):
        act = "remove"
    else:
        return None
    return Finding(
        "service_denied",
        ERROR,
        f"{seen.service}, as which the server runs, can't {act} what {seen.who} wrote: "
        + (owner if seen.reply.mode >= 0 else seen.reply.error),
        share_with_colleagues(seen.path) + "; the service user has to be in the shared group, too",
    )


def _left_behind(seen: Seen) -> Optional[Finding]:
    if not seen.reply.removal_error or seen.reply.removal_error in ("EACCES", "EPERM"):
        return None
    return Finding(
        "left_behind",
        WARNING,
        f"the directory that {seen.who} made for the check could not be removed ({seen.reply.removal_error}): "
        "somebody has put something into it",
        f"look at the directories .mlflow-probe-* in {seen.path}",
    )


def _root_squashed(seen: Seen) -> Optional[Finding]:
    if seen.claim.uid != 0 or seen.reply.uid in (-1, 0):
        return None
    return Finding(
        "root_squashed",
        INFO,
        f"what root on {seen.claim.member.client} writes belongs to {seen.reply.uid}, and works",
    )


def _id_mapped_to_nobody(seen: Seen) -> Optional[Finding]:
    if not (seen.claim.made_uid == NOBODY and seen.reply.uid not in (-1, NOBODY)):
        return None
    return Finding(
        "id_mapped_to_nobody",
        WARNING,
        f"{seen.claim.member.client} takes the owner of {seen.who}'s files for nobody ({NOBODY}), the server sees "
        f"{seen.reply.uid}: the NFSv4 domains of client and server differ",
        "write the same Domain into /etc/idmapd.conf of all hosts, then `nfsidmap -c`; or use numeric ids, the "
        "default of Linux with sec=sys (nfs4_disable_idmapping)",
    )


def _all_squashed(seen: Seen) -> Optional[Finding]:
    if seen.claim.uid == 0 or seen.reply.uid in (-1, seen.claim.uid) or seen.claim.made_uid == seen.claim.uid:
        return None
    return Finding(
        "all_squashed",
        INFO,
        f"the NFS server gives what {seen.who} (uid {seen.claim.uid}) writes to uid {seen.reply.uid}",
    )


RULES: tuple[Rule, ...] = (
    _replica,
    _reply_differs,
    _service_denied,
    _left_behind,
    _root_squashed,
    _id_mapped_to_nobody,
    _all_squashed,
)


def classify_reply(seen: Seen) -> list[Finding]:
    """Return what is wrong with a reply or worth knowing, nothing when all is well."""
    found = (rule(seen) for rule in RULES)
    return [finding for finding in found if finding is not None]


def differing_ids(all_seen: Sequence[Seen]) -> list[tuple[Seen, Finding]]:
    """Return a finding for each user name that has another number elsewhere, with the second client that showed it."""
    found: list[tuple[Seen, Finding]] = []
    first: dict[str, Seen] = {}
    for seen in all_seen:
        user, uid = seen.claim.member.user, seen.claim.uid
        other = first.setdefault(user, seen)
        # Where the NFS server changes the user, the numbers of the clients don't matter.
        if other.claim.uid != uid and seen.reply.uid == uid:
            message = (
                f"{user} is uid {uid} on {seen.claim.member.client} and {other.claim.uid} on "
                f"{other.claim.member.client}: to the share these are two users"
            )
            remedy = "give each user the same number on all hosts, by a directory service or by uid= when creating it"
            found.append((seen, Finding("ids_differ", WARNING, message, remedy)))
    return found
