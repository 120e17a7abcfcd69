# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mount options as people write them, and as the kernel shows them afterwards.

Source: nfs(5), mount(8), and nfs_show_mount_options() in the kernel's fs/nfs/super.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

#: Every spelling of a two-way switch: what it is called here, and its value.
_SWITCHES: Mapping[str, tuple[str, str]] = {
    "rw": ("write", "rw"),
    "ro": ("write", "ro"),
    "suid": ("suid", "suid"),
    "nosuid": ("suid", "nosuid"),
    "dev": ("dev", "dev"),
    "nodev": ("dev", "nodev"),
    "exec": ("exec", "exec"),
    "noexec": ("exec", "noexec"),
    "relatime": ("atime", "relatime"),
    "atime": ("atime", "relatime"),
    "noatime": ("atime", "noatime"),
    "strictatime": ("atime", "strictatime"),
    "hard": ("recovery", "hard"),
    "soft": ("recovery", "soft"),
    "softerr": ("recovery", "softerr"),
    "ac": ("attribute cache", "ac"),
    "noac": ("attribute cache", "noac"),
    "cto": ("close-to-open", "cto"),
    "nocto": ("close-to-open", "nocto"),
}
_DEFAULTS: Mapping[str, str] = {
    "write": "rw",
    "suid": "suid",
    "dev": "dev",
    "exec": "exec",
    "atime": "relatime",
    "recovery": "hard",
    "attribute cache": "ac",
    "close-to-open": "cto",
}
#: Settings with a value that the kernel shows as they were asked for. Sizes are
#: missing because the server may lower them.
_SHOWN_VALUES = ("vers", "timeo", "retrans", "sec", "proto", "nconnect", "lookupcache")
_SYNONYMS = {"nfsvers": "vers"}
_SETTING = re.compile(r"[A-Za-z0-9_.-]+(=[^\s,\"\\]+)?")


def parse(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of options.

    Raises ValueError naming an option that mount(8) could not read as written.
    """
    options = tuple(option.strip() for option in text.split(",") if option.strip())
    for option in options:
        if not _SETTING.fullmatch(option):
            raise ValueError(f"{option!r} is not a mount option")
    return options


def _settings(options: Iterable[str]) -> dict[str, str]:
    """Reduce options to settings; of contradicting ones the last wins, as in mount(8)."""
    settings = dict(_DEFAULTS)
    for option in options:
        name, _equals, value = option.partition("=")
        name = _SYNONYMS.get(name, name)
        if name in _SWITCHES:
            switch, position = _SWITCHES[name]
            settings[switch] = position
        elif name in _SHOWN_VALUES:
            settings[name] = value
    return settings


def recovery(options: Iterable[str]) -> str:
    """Return what a lost server means for a program: ``hard``, ``soft`` or ``softerr``."""
    return _settings(options)["recovery"]


def version(options: Iterable[str]) -> str:
    """Return the NFS version asked for, such as ``4.2``, or '' for whatever both sides speak."""
    return _settings(options).get("vers", "")


def _matches(name: str, wanted: str, actual: str) -> bool:
    if name == "vers":
        return actual == wanted or actual.startswith(wanted + ".")
    if name == "proto":
        return actual.rstrip("6") == wanted.rstrip("6")
    return actual == wanted


def differences(wanted: Iterable[str], actual: Iterable[str]) -> tuple[str, ...]:
    """Return what is mounted otherwise than wanted, such as ``timeo 100 instead of 600``.

    ``actual`` is everything the kernel shows of a mount.  What the kernel
    does not show (retry, _netdev, x-…, negotiated sizes) can't differ.
    """
    wanted_settings, actual_settings = _settings(wanted), _settings(actual)
    found = []
    for name, value in wanted_settings.items():
        seen = actual_settings.get(name)
        if seen is not None and not _matches(name, value, seen):
            found.append(f"{seen} instead of {value}" if name in _DEFAULTS else f"{name} {seen} instead of {value}")
    return tuple(found)
