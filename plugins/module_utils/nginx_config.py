# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's configuration with one file replaced, so that it can be tested before that file is there.

Source: https://nginx.org/en/docs/ngx_core_module.html#include.  A configuration is tested as a whole only: a second
`server` for the same port can be wrong although each file alone is right.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from typing import Callable

#: Where the distributions' packages have it.
DIRECTORY = "/etc/nginx"
MAIN = f"{DIRECTORY}/nginx.conf"
#: The one file of nginx's that is ours.
OURS = f"{DIRECTORY}/conf.d/mlflow.conf"
_INCLUDE = re.compile(r"^(?P<blanks>[ \t]*)include[ \t]+(?P<pattern>[^;\s]+)[ \t]*;", re.MULTILINE)


class NotIncludedError(Exception):
    """No `include` of the main file takes the other one in."""


def _takes_in(pattern: str, path: str) -> bool:
    """Whether an include's absolute pattern matches a path: an asterisk ends at a slash, as in the shell."""
    return os.path.dirname(pattern) == os.path.dirname(path) and fnmatch.fnmatchcase(
        os.path.basename(path), os.path.basename(pattern)
    )


def with_candidate(main: str, directory: str, path: str, candidate: str, files: Callable[[str], Sequence[str]]) -> str:
    """Return the text of nginx's main file that takes ``candidate`` in where ``path`` would be.

    :param main: the main file's text.
    :param directory: where the main file is, which relative includes are looked for in.
    :param files: returns the paths that match a pattern, like ``glob.glob``.
    :raises NotIncludedError: ``path`` is in none of its includes.
    """
    found = False

    def spread(match: re.Match[str]) -> str:
        nonlocal found
        pattern = os.path.join(directory, match["pattern"])
        if not _takes_in(pattern, path):
            return match.group(0)
        found = True
        # In the order in which nginx reads them, which decides whose `server` is the default one.
        named = {name: name for name in files(pattern)}
        named[path] = candidate
        return "\n".join(f"{match['blanks']}include {named[name]};" for name in sorted(named))

    text = _INCLUDE.sub(spread, main)
    if not found:
        raise NotIncludedError(path)
    return text
