# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What mount(8) of macOS and FreeBSD prints, read as a mount table.

Source: prmount() in Apple's diskdev_cmds, mount.tproj/mount.c, and in FreeBSD's sbin/mount/mount.c.  Both print
``SOURCE on POINT (TYPE, OPTION, ...)``, in the order of the mounts, and escape nothing.  FreeBSD's ``mount -p`` would
be no help: macOS has none, and names with spaces can't be told apart in it before FreeBSD 14.
"""

from __future__ import annotations

import re

from ansible_collections.selfhosted.mlflow.plugins.module_utils.mountinfo import MountEntry

# Any name may hold ' on ', ' (' and even a newline, but a mount point starts with a slash, and neither types nor
# options hold brackets.  Where ' on /' comes twice in a line, the source is taken to end at the first; a line with
# ' on /' starts an entry.
_ENTRY = re.compile(
    r"(?P<source>[^\n]*?) on (?P<point>/(?:[^\n]|\n(?![^\n]* on /))*?)"
    r" \((?P<fstype>[^(),\n]+)(?:, (?P<options>[^()\n]*))?\)(?:\n|\Z)",
)


def _options(text: str) -> tuple[str, ...]:
    """Return the options with Linux's word first for whether the mount can be written."""
    words = text.split(", ") if text else []
    return ("ro" if "read-only" in words else "rw", *(word for word in words if word != "read-only"))


def _entry(match: re.Match[str]) -> MountEntry:
    return MountEntry(
        mount_id=0,
        parent_id=0,
        device="",
        root="",
        mount_point=match["point"],
        options=_options(match["options"] or ""),
        fstype=match["fstype"],
        source=match["source"],
        super_options=(),
    )


def parse(text: str) -> tuple[MountEntry, ...]:
    """Parse what ``mount`` printed, in its order, which is that of the mounts.

    These systems tell neither ids, device numbers, the directory within the file system, nor the options of NFS:
    those fields are 0, '' or empty.  ``options`` starts with ``ro`` or ``rw`` as on Linux; the rest is as printed,
    such as ``local`` or ``mounted by alice``.  Raises ValueError naming the line that isn't one.
    """
    entries = []
    position = 0
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None:
            line = text[position:].split("\n", 1)[0]
            raise ValueError(f"not a line of mount: {line!r}")
        entries.append(_entry(match))
        position = match.end()
    return tuple(entries)
