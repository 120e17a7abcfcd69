# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of the lab shares: its error, its places on disk, locks and child processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = "selfhosted-mlflow"
SOCKET_PATH_LIMIT = 107  # sun_path in unix(7), less its final NUL


class LabError(Exception):
    """Something the user can act on; its text is the whole message."""


@dataclass(frozen=True)
class Places:
    """The directories the lab owns.

    :ivar cache: built images, shared by all labs.
    :ivar state: one directory per lab below ``labs``, and what all labs share.
    :ivar run: sockets; short, because socket paths are limited to 107 bytes.
    """

    cache: Path
    state: Path
    run: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Places:
        """Follow the XDG base directory specification, with its fallbacks."""
        home = Path(environment.get("HOME") or "/root")
        cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / PROJECT
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local/state") / PROJECT
        return cls(cache=cache, state=state, run=Path("/run") / f"{PROJECT}-{digest(str(state))}")

    @property
    def images(self) -> Path:
        """Where the disk images are."""
        return self.cache / "images"

    @property
    def labs(self) -> Path:
        """Where each lab has its directory."""
        return self.state / "labs"


def digest(text: str, length: int = 8) -> str:
    """Return the first `length` hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:length]


class Progress:
    """Prints lines that say what is happening, with the seconds since the start."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._start = time.monotonic()

    def __call__(self, message: str) -> None:
        elapsed = time.monotonic() - self._start
        print(f"[{elapsed:5.1f}s] {self._prefix}: {message}", file=sys.stderr, flush=True)


def private_directory(path: Path) -> Path:
    """Make `path` (mode 0700) where absent and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace `path` whole, so that a crash leaves either the old or the new content."""
    data = content.encode() if isinstance(content, str) else content
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), mode)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(path: Path, waiting: str, progress: Progress | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel gives it back when the process dies."""
    private_directory(path.parent)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress(f"waiting for another run that {waiting}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str], *, check: bool = True, timeout: float | None = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end with its output captured.

    :raises LabError: it is absent, took longer than `timeout` seconds or, with `check`, failed.
    """
    try:
        done = subprocess.run(
            list(argv), check=False, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed; `python -m lab require` installs what is missing") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)}: no end after {timeout} s") from error
    if check and done.returncode:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise LabError(f"{' '.join(argv)} failed ({done.returncode}): {output}")
    return done
