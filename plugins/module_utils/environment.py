# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of systemd's EnvironmentFile=, and what of it may be shown.

Source: systemd.exec(5), EnvironmentFile=; POSIX shell, double quotes.
"""

from __future__ import annotations

import grp
import re
from collections.abc import Collection, Mapping
from typing import Any, Optional

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SPECIAL = re.compile(r'(["\\`$])')
_ESCAPED = re.compile(r'\\(["\\`$])')
#: Quotes mean something before the first character without them only.
_PIECE = re.compile(r"""\s*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<plain>[^\s"'].*))""")
_LINE = re.compile(r'(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>".*")')


def as_text(value: Any) -> str:
    """Return a YAML scalar as environment text: booleans as ``true`` and ``false``, null as ''."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _assignment(name: str, value: Any) -> str:
    text = as_text(value)
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} can't be the name of an environment variable")
    if re.search(r"[\n\r\0]", text):
        raise ValueError(f"the value of {name} has more than one line, which an environment file can't hold")
    escaped = _SPECIAL.sub(r"\\\1", text)
    return f'{name}="{escaped}"\n'


def render(values: Mapping[str, Any], comment: str = "") -> str:
    """Return the file's text, sorted by name.

    Raises ValueError for a name or value that it can't hold; the message never has
    the value.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "".join(_assignment(name, values[name]) for name in sorted(values))


def parse(text: str) -> dict[str, str]:
    """Return what systemd reads from an environment file, later lines over earlier ones.

    Lines that assign nothing are passed over, as systemd does.  A quoted value that goes on in
    the next line is not understood.
    """
    values = {}
    for line in text.replace("\\\n", "").splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and NAME.fullmatch(name.rstrip()):
            values[name.rstrip()] = "".join(_unquoted(match) for match in _PIECE.finditer(value))
    return values


def _unquoted(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _ESCAPED.sub(r"\1", match["double"])
    if match["single"] is not None:
        return str(match["single"])
    return re.sub(r"\\(.)", r"\1", match["plain"])


def censor(text: str, before: str, public: Collection[str]) -> str:
    """Return a file's text with every value hidden but those of ``public`` names.

    A hidden value that differs from the one in ``before`` is marked, so that a diff
    shows the change.
    """
    old = {match["name"]: match["value"] for match in map(_LINE.fullmatch, before.splitlines()) if match}
    lines = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if line.startswith("#") or (match and match["name"] in public):
            lines.append(line)
        elif match:
            same = old.get(match["name"], match["value"]) == match["value"]
            lines.append(f"{match['name']}=({'hidden' if same else 'hidden, changed'})")
        else:
            # Not written by us: it may hold anything.
            lines.append("(hidden)")
    return "\n".join(lines) + "\n"


def group_id(name: str) -> Optional[int]:
    """Return a group's number, None when there is no such group (yet)."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None
