# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of an NFS share, ``HOST:/PATH``, taken apart and put together."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")
SYSTEM_DIRECTORIES = frozenset(
    ("/" + name)
    for name in (
        *("", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run"),
        *("sbin", "srv", "sys", "tmp", "usr", "var", "var/cache", "var/lib", "var/log", "var/tmp"),
    )
)
_SYSTEM_TREES = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr")
_EXAMPLE = "write HOST:/PATH, such as nas.example.org:/srv/mlflow or [2001:db8::5]:/srv/mlflow"


@dataclass(frozen=True)
class Share:
    """An exported directory: ``host`` without brackets, ``path`` absolute and normal."""

    host: str
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.path}"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, separator, path = text[1:].partition("]:")
        if not separator or not _is_ipv6(host):
            raise ValueError(f"{text!r} does not begin with an IPv6 address in brackets; {_EXAMPLE}")
        return host, path
    host, separator, path = text.partition(":/")
    if not separator:
        raise ValueError(f"{text!r} has no ':/' between host and path; {_EXAMPLE}")
    if ":" in host:
        raise ValueError(f"{text!r} needs brackets around its IPv6 address; {_EXAMPLE}")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} has no usable host name before ':/'; {_EXAMPLE}")
    return host, "/" + path


def check_path(path: str) -> str:
    """Return ``path`` without a final slash.

    Raises ValueError when it is not absolute, has ``..``, ``.``, ``~`` or empty
    components, or holds a control character: systemd, exports(5) and MLflow
    each read such a path in a way of their own.
    """
    if not path.startswith("/"):
        raise ValueError(f"{path!r} is not an absolute path")
    if any(ord(character) < ord(" ") or character == "\x7f" for character in path):
        raise ValueError(f"{path!r} holds a control character")
    trimmed = path.rstrip("/") or "/"
    if posixpath.normpath(trimmed) != trimmed or trimmed.startswith("//"):
        raise ValueError(f"{path!r} is not in its plain form {posixpath.normpath(path)!r}")
    return trimmed


def is_system_directory(path: str) -> bool:
    """Whether a plain absolute path is the operating system's own, not to be shared, covered or given away."""
    return path in SYSTEM_DIRECTORIES or path.startswith(tuple(f"{tree}/" for tree in _SYSTEM_TREES))


def parse(text: str) -> Share:
    """Parse ``HOST:/PATH``, as mount.nfs(8) takes it.

    Raises ValueError whose text says what to write instead.
    """
    if "://" in text:
        raise ValueError(f"{text!r} is a URL; {_EXAMPLE}")
    host, path = _split(text)
    return Share(host=host, path=check_path(path))
