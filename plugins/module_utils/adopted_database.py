# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database of a server that is taken over: how its address is shown, and whether the inventory names the same one.

Source: SQLAlchemy's "Database URLs"; PyMySQL's and libpq's parameters for sockets.
"""

from __future__ import annotations

import re
from typing import Optional
from urllib.parse import parse_qs, urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import database_parts, name_service
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: To the last @, for a password may have a slash and more in it.
_CREDENTIALS = re.compile(r"://.*@", re.DOTALL)
_SECRET_PARAMETER = re.compile(r"(?P<name>[?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<dialect>[a-z0-9]+)(\+\w+)?(?=:)")
_ENGINES = {"mariadb": "mysql"}
_HERE = "this host"


def shown(uri: str) -> str:
    """Return an address without what is secret in it."""
    if uri.startswith("sqlite:"):
        return uri
    return _SECRET_PARAMETER.sub(r"\g<name>…", _CREDENTIALS.sub("://…@", uri))


def for_inventory(uri: str) -> str:
    """Return an address with the driver that mlflow_server installs; the one of old may not be there any more."""
    match = _SCHEME.match(uri)
    driver = database_parts.DRIVERS.get(_ENGINES.get(match["dialect"], match["dialect"])) if match else None
    return f"{match['dialect']}+{driver}{uri[match.end() :]}" if match and driver else uri


def _where(uri: str) -> tuple[str, frozenset[str], int, str]:
    """Return an address' engine, the addresses of its host, its port and the database's name.

    Raises ValueError.
    """
    parts = urlsplit(uri)
    dialect = parts.scheme.partition("+")[0]
    engine = _ENGINES.get(dialect, dialect)
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", [""])[0]
    found = frozenset({_HERE})
    if not (host.startswith("/") or database_parts.is_local(host)):
        known = name_service.addresses(host) or frozenset({host.lower()})
        found = frozenset(_HERE if name_service.is_here(address) else address for address in known)
    port = parts.port or int(query.get("port", ["0"])[0]) or database_parts.PORTS.get(engine, 0)
    return engine, found, port, parts.path


def problem(old: str, old_file: str, new: str, target_file: str) -> Optional[Problem]:
    """Return why the new server would not use what is taken over, None when it would.

    ``old`` and ``new`` are addresses without passwords, ``new`` '' where the inventory names none: the new server then
    uses ``target_file``, where the old server's SQLite file ``old_file`` is copied to.
    """
    if old_file:
        if new in ("", f"sqlite:///{target_file}"):
            return None
        return Problem(
            f"the old server's database is {old_file}, and the inventory says {shown(new)}",
            f"its copy is put at {target_file}, where the new server would not look",
            "leave mlflow_server_backend_store_uri and mlflow_database out, or set mlflow_adopt_target_database to "
            "that file; rows are not copied into a database of another kind",
        )
    wanted = f"set mlflow_server_backend_store_uri to {for_inventory(shown(old))}, with its password from a vault"
    if not new:
        why = "it is not copied but used where it is, and the inventory does not name it"
        return Problem(f"the old server's database is {shown(old)}", why, wanted)
    try:
        one, other = _where(shown(old)), _where(shown(new))
    except ValueError as error:
        return Problem(f"the inventory says {shown(new)}, the old server {shown(old)}", str(error), wanted)
    if (one[0], one[3]) == (other[0], other[3]) and one[1] & other[1] and (one[2] == other[2] or _HERE in one[1]):
        return None
    why = "the new server would run on another database, without the old one's runs"
    return Problem(f"the old server's database is {shown(old)}, and the inventory says {shown(new)}", why, wanted)
