# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What server and clients write to prove that two paths are one directory.

The server writes a sentinel with a nonce, the client answers with a reply that only
a reader of the nonce can make, and the server reads the reply.  Nothing less proves it:
device numbers, inode numbers and the names of shares are alike on different ones.

Every name here is made of hexadecimal digits, whatever hosts and users are called, so
that what is deleted afterwards can be told from everything else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

#: Above what a file system takes inline or in one page, so that a full disk shows; in bytes.
REPLY_SIZE = 65536
#: What a sentinel can't exceed, in bytes.
SENTINEL_LIMIT = 4096
#: After how many seconds a probe that nobody cleaned up counts as left behind.
STALE_SECONDS = 24 * 3600

SENTINEL = "sentinel"
REPLY = "reply"
_PREFIX = ".mlflow-probe-"
_HEX = "[0-9a-f]{16}"
_DIRECTORY = re.compile(rf"{re.escape(_PREFIX)}(?P<run>{_HEX})(-(?P<member>{_HEX}))?")
_RUN = re.compile(_HEX)
_SENTINEL = re.compile(r"mlflow-probe 1 (?P<run>[0-9a-f]{16}) (?P<nonce>[0-9a-f]{64})\n")


def new_run() -> str:
    """Return a name for one check, never used before."""
    return secrets.token_hex(8)


def check_run(run: str) -> str:
    """Return ``run``.  Raises ValueError when it isn't one that `new_run` makes."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"{run!r} is not the name of a check: sixteen hexadecimal digits")
    return run


def new_nonce() -> str:
    """Return a secret that only readers of the sentinel learn."""
    return secrets.token_hex(32)


def digest(nonce: str) -> str:
    """Return what may be told of a nonce in public."""
    return hashlib.sha256(nonce.encode()).hexdigest()


@dataclass(frozen=True)
class Member:
    """A user on a client, by the names the playbook knows them by."""

    client: str
    user: str

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits, the same wherever they are computed."""
        return hashlib.sha256(f"{self.client}\0{self.user}".encode()).hexdigest()[:16]


def partners(members: Sequence[Member]) -> dict[Member, Member]:
    """Return for each member whose directory to write into: another user's, on another client if there is one."""
    found = {}
    for number, member in enumerate(members):
        others = [*members[number + 1 :], *members[:number]]
        candidates = [other for other in others if other.user != member.user]
        elsewhere = [other for other in candidates if other.client != member.client]
        if candidates:
            found[member] = (elsewhere or candidates)[0]
    return found


def server_directory(run: str) -> str:
    """Return the name of the directory that holds the sentinel."""
    return f"{_PREFIX}{run}"


def reply_directory(run: str, member: Member) -> str:
    """Return the name of the directory that a user makes, as MLflow makes one for an experiment."""
    return f"{_PREFIX}{run}-{member.key}"


def colleague_directory(member: Member) -> str:
    """Return the name of what a user makes in a colleague's directory, as MLflow makes one for a run."""
    return f"colleague-{member.key}"


def is_ours(name: str) -> bool:
    """Whether a name below an artifact root is one that a check makes."""
    return _DIRECTORY.fullmatch(name) is not None


def sentinel_text(run: str, nonce: str) -> str:
    """Return the text of a sentinel."""
    return f"mlflow-probe 1 {run} {nonce}\n"


def nonce_of(text: str, run: str) -> str:
    """Return the nonce in the text of a sentinel, '' when it is none of this run."""
    found = _SENTINEL.fullmatch(text)
    return found["nonce"] if found and found["run"] == run else ""


def reply_bytes(nonce: str, member: Member) -> bytes:
    """Return the only right reply of a user, REPLY_SIZE bytes that don't compress (RFC 2104, HMAC-SHA256)."""
    blocks = (
        hmac.new(nonce.encode(), f"{member.client}\0{member.user}\0{block}".encode(), hashlib.sha256).digest()
        for block in range(REPLY_SIZE // hashlib.sha256().digest_size)
    )
    return b"".join(blocks)
