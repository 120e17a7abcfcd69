# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a tree of artifacts so that it can be interrupted anywhere, and prove that the copy is whole.

The source is only read.  A list of what was copied, with sha256, is kept in a file; what stands in it and is
unchanged is not copied again.  A file at the target is replaced only when it is known to be an earlier copy.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import BinaryIO, Callable, Optional

_BLOCK = 4 << 20
_SYNC_FILES, _SYNC_SECONDS = 500, 10.0
_PARTIAL = ".mlflow-move-partial"
#: What the collection itself keeps at an artifact root.
_OURS = ".mlflow-"
#: Of a disk, and of an account's share of it.
_FULL = (errno.ENOSPC, errno.EDQUOT)
_RESUME = "what was copied stays, and the old root is as it was; make room and run the same again, it goes on"
_GROUP_SHARES = stat.S_ISGID | stat.S_IRWXU | stat.S_IRWXG


class CopyError(Exception):
    """Something is in the way; the text says what and what to do."""


@dataclass(frozen=True)
class Owner:
    """Whose the copies are; groups as the account has them."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A file or link below a root; ``link`` is a symbolic link's target, else ''."""

    path: str
    size: int
    mtime_ns: int
    mode: int
    link: str = ""


@dataclass(frozen=True)
class Copied:
    """A line of the list: a file as it was when it was copied."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass
class Progress:
    """How far a copy is; ``tell`` is called with it every few seconds."""

    tell: Callable[[Progress], None]
    files: int = 0
    bytes: int = 0
    copied_files: int = 0
    copied_bytes: int = 0
    _told: float = 0.0

    def step(self, final: bool = False) -> None:
        """Tell, but not too often."""
        now = time.monotonic()
        if final or now - self._told >= _SYNC_SECONDS:
            self._told = now
            self.tell(self)


@contextmanager
def acting_as(owner: Optional[Owner]) -> Iterator[None]:
    """Do as an account what it alone may do: a file server may know no root (root_squash)."""
    if owner is None or os.geteuid() != 0 or owner.uid == 0:
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    try:
        os.setgroups(owner.groups)
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def entries(root: str, reader: Optional[Owner] = None) -> Iterator[Entry]:
    """Yield every file and link below a directory, sorted; nothing where there is no such directory.

    Raises CopyError for what is neither file, directory nor a link that stays inside, OSError.
    """
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            with acting_as(reader), os.scandir(os.path.join(root, below)) as scan:
                found = sorted(scan, key=lambda one: one.name)
        except FileNotFoundError:
            continue
        for one in found:
            path = os.path.join(below, one.name)
            if (not below and one.name.startswith(_OURS)) or one.name.endswith(_PARTIAL):
                continue
            with acting_as(reader):
                status = one.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                pending.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield Entry(path, status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode))
            elif stat.S_ISLNK(status.st_mode):
                with acting_as(reader):
                    link = _inner_link(root, path)
                yield Entry(path, 0, status.st_mtime_ns, 0, link)
            else:
                raise CopyError(f"{os.path.join(root, path)} is no file, directory or link: take it away first")


def _inner_link(root: str, path: str) -> str:
    target = os.readlink(os.path.join(root, path))
    end = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if os.path.isabs(target) or end.startswith(".."):
        raise CopyError(
            f"{os.path.join(root, path)} is a symbolic link to {target}, outside of the artifact root: "
            "put the file itself in its place, for the link may lead nowhere from the new root"
        )
    return target


def sha256(path: str) -> str:
    """Return the digest of a file's content, read past the cache where the kernel lets us."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def read_list(path: str) -> dict[str, Copied]:
    """Return what a list has by path, its later lines over earlier ones.

    A line that a power cut tore is passed over: its file is compared with the source again.
    """
    known = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                try:
                    one = Copied(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                known[one.path] = one
    except FileNotFoundError:
        pass
    return known


def _slashes(path: str) -> Iterator[int]:
    return (index for index, character in enumerate(path) if character == "/")


def _make(path: str, mode: int) -> None:
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    os.chmod(path, mode)


def _pour(descriptor: int, stream: BinaryIO) -> str:
    """Copy an open file into another, and return the digest of what was read."""
    digest = hashlib.sha256()
    for block in iter(lambda: os.read(descriptor, _BLOCK), b""):
        digest.update(block)
        view = memoryview(block)
        while view:
            view = view[stream.write(view) :]
    return digest.hexdigest()


class Copier:
    """Copies one tree into another; ``list_path`` is the list of what was copied, of this and of earlier attempts."""

    def __init__(self, source: str, target: str, list_path: str, owner: Optional[Owner] = None) -> None:
        self.source, self.target, self.owner = source, target, owner
        # A file server may let the account read and not root.
        self._reader = None if os.access(source, os.R_OK | os.X_OK) else owner
        self._prover = None if os.access(target, os.R_OK | os.X_OK) else owner
        self._list_path = list_path
        self.known = read_list(list_path)
        self._unwritten: list[Copied] = []
        self._made: set[str] = set()
        self._written = time.monotonic()

    def pending(self) -> tuple[int, int]:
        """Return how many files, and bytes, are still to be copied.  Raises CopyError, OSError."""
        files = size = 0
        for entry in entries(self.source, self._reader):
            if not self._is_done(entry):
                files, size = files + 1, size + entry.size
        return files, size

    def _is_done(self, entry: Entry) -> bool:
        known = self.known.get(entry.path)
        if known is None or (known.size, known.mtime_ns) != (entry.size, entry.mtime_ns):
            return False
        try:
            with acting_as(self._prover):
                status = os.lstat(os.path.join(self.target, entry.path))
        except OSError:
            return False
        return stat.S_ISLNK(status.st_mode) if entry.link else status.st_size == entry.size

    def copy(self, progress: Progress) -> None:
        """Copy what is not copied yet.  Raises CopyError, OSError; what was copied by then is remembered."""
        try:
            for entry in entries(self.source, self._reader):
                progress.files, progress.bytes = progress.files + 1, progress.bytes + entry.size
                if not self._is_done(entry):
                    digest = self._copy_one(entry)
                    self._unwritten.append(Copied(entry.path, entry.size, entry.mtime_ns, digest))
                    progress.copied_files, progress.copied_bytes = (
                        progress.copied_files + 1,
                        progress.copied_bytes + entry.size,
                    )
                    if len(self._unwritten) >= _SYNC_FILES or time.monotonic() - self._written > _SYNC_SECONDS:
                        self._remember()
                progress.step()
        finally:
            self._remember()
        progress.step(final=True)

    def _remember(self) -> None:
        """Write to the list what was copied, once it is on disk."""
        if self._unwritten:
            os.sync()
            with open(self._list_path, "a", encoding="utf-8", errors="surrogateescape") as stream:
                # A line before them may be torn.
                stream.writelines("\n" + json.dumps(asdict(one), ensure_ascii=False) for one in self._unwritten)
                stream.write("\n")
                stream.flush()
                os.fsync(stream.fileno())
            self.known.update((one.path, one) for one in self._unwritten)
            self._unwritten = []
        self._written = time.monotonic()

    def _copy_one(self, entry: Entry) -> str:
        source, target = os.path.join(self.source, entry.path), os.path.join(self.target, entry.path)
        if entry.link:
            return self._link(entry, target)
        with acting_as(self._reader):
            descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0):
            if self._stands(target):
                with acting_as(self._reader):
                    digest = sha256(source)
                if self._stays(entry, target, digest):
                    return digest
            self._directories(os.path.dirname(entry.path))
            with acting_as(self.owner):
                return self._write(descriptor, target, entry)

    def _stands(self, target: str) -> bool:
        with acting_as(self._prover):
            return os.path.lexists(target)

    def _stays(self, entry: Entry, target: str, digest: str) -> bool:
        """Return whether what stands at the target is this file already.  Raises CopyError where it is another's."""
        with acting_as(self._prover):
            standing = sha256(target) if os.path.isfile(target) and not os.path.islink(target) else "no file"
        if standing == digest:
            return True
        known = self.known.get(entry.path)
        if known is None or known.sha256 != standing:
            raise CopyError(
                f"{target} is there already and is not {os.path.join(self.source, entry.path)}: "
                "nothing is ever overwritten; choose an empty directory, or take that file away"
            )
        return False

    def _write(self, descriptor: int, target: str, entry: Entry) -> str:
        partial = target + _PARTIAL
        try:
            with open(partial, "wb", buffering=0) as stream:
                digest = _pour(descriptor, stream)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            # It would take the room that there is.
            with suppress(FileNotFoundError):
                os.unlink(partial)
            raise CopyError(f"{self.target} is full ({error.strerror}) at {entry.path}: {_RESUME}") from error
        # Whoever could read still can, and the group that shares the root can write.
        os.chmod(partial, entry.mode & 0o777 | 0o660)
        os.utime(partial, ns=(entry.mtime_ns, entry.mtime_ns))
        os.replace(partial, target)
        return digest

    def _link(self, entry: Entry, target: str) -> str:
        self._directories(os.path.dirname(entry.path))
        with acting_as(self.owner):
            if os.path.islink(target) and os.readlink(target) == entry.link:
                return ""
            if os.path.lexists(target):
                raise CopyError(f"{target} is there already and is not the link in {self.source}: take it away")
            os.symlink(entry.link, target)
        return ""

    def _directories(self, below: str) -> None:
        """Make the directories above a file, open to the group as the root is."""
        parents = [below[:end] for end in (*_slashes(below), len(below))] if below else []
        for parent in parents:
            if parent not in self._made:
                with acting_as(self._reader):
                    mode = stat.S_IMODE(os.stat(os.path.join(self.source, parent)).st_mode)
                with acting_as(self.owner):
                    self._make(parent, mode & 0o777 | _GROUP_SHARES)
                self._made.add(parent)

    def _make(self, directory: str, mode: int) -> None:
        try:
            _make(os.path.join(self.target, directory), mode)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise CopyError(f"{self.target} is full ({error.strerror}) at {directory}: {_RESUME}") from error

    def prove(self, every: int = 1) -> tuple[int, list[str]]:
        """Compare copies with the list, each or one of ``every``; return how many were, and those that differ."""
        files = [one for one in self.known.values() if one.sha256]
        chosen = files[::every]
        wrong = []
        for one in chosen:
            path = os.path.join(self.target, one.path)
            try:
                with acting_as(self._prover):
                    same = sha256(path) == one.sha256
            except OSError:
                same = False
            if not same:
                wrong.append(path)
        return len(chosen), wrong
