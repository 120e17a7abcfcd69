# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's database server says of a user and a database, asked as its administrator by its own client.

Source: PostgreSQL's "System Catalogs"; MariaDB's "The mysql Database Tables".
"""

from __future__ import annotations

import glob
import json
import os
import re
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import program
from ansible_collections.selfhosted.mlflow.plugins.module_utils.database_server_rules import Cluster

_SECONDS = 30
_PORT = re.compile(r"^\s*port\s*=?\s*'?(\d+)", re.MULTILINE)
_DEFAULT_PORT = 5432
_CLUSTERS = "/etc/postgresql"

_POSTGRESQL = """
SELECT json_build_object(
  'owner', coalesce((SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'name'), ''),
  'powers', coalesce((SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
                      FROM pg_roles WHERE rolname = :'user'), false),
  'owns', (SELECT coalesce(json_agg(datname), '[]') FROM pg_database
           WHERE pg_get_userbyid(datdba) = :'user' AND datname <> :'name'))
"""
# There are no owners: a database belongs to whoever has rights on it, and one with tables that nobody has rights on to
# the administrator.  The pattern of a grant escapes underscores.
_MYSQL = """
SELECT JSON_OBJECT(
  'owner', COALESCE(
    (SELECT MIN(User) FROM mysql.db WHERE REPLACE(Db, '\\\\_', '_') = '{name}' AND User <> '{user}'),
    (SELECT 'root' FROM DUAL
     WHERE EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = '{name}')
       AND NOT EXISTS (SELECT 1 FROM mysql.db WHERE REPLACE(Db, '\\\\_', '_') = '{name}' AND User = '{user}')),
    ''),
  'powers', (SELECT COUNT(*) FROM information_schema.user_privileges
             WHERE SUBSTRING_INDEX(GRANTEE, '@', 1) = '''{user}''' AND PRIVILEGE_TYPE <> 'USAGE') > 0,
  'owns', IFNULL((SELECT JSON_ARRAYAGG(DISTINCT REPLACE(Db, '\\\\_', '_')) FROM mysql.db
                  WHERE User = '{user}' AND REPLACE(Db, '\\\\_', '_') <> '{name}'), JSON_ARRAY()))
"""


def port(text: str) -> int:
    """Return the port in the text of a postgresql.conf with what it includes; the last one counts."""
    found = _PORT.findall(text)
    return int(found[-1]) if found else _DEFAULT_PORT


def clusters(root: str = _CLUSTERS) -> tuple[Cluster, ...]:
    """Return the host's clusters, in the order of their versions and names."""
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(root), "*", "*", "postgresql.conf"))):
        directory = os.path.dirname(path)
        text = ""
        for file in (path, *sorted(glob.glob(os.path.join(glob.escape(directory), "conf.d", "*.conf")))):
            with open(file, encoding="utf-8", errors="replace") as stream:
                text += stream.read() + "\n"
        found.append(Cluster(os.path.basename(os.path.dirname(directory)), os.path.basename(directory), port(text)))
    return tuple(found)


def look(engine: str, name: str, user: str, at: int) -> dict[str, Any]:
    """Return owner, powers and other databases (see ``Evidence``); nothing when the server doesn't answer.

    ``name`` and ``user`` must be plain names, which the rules see to.
    """
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent"}
    if engine == "postgresql":
        who: Optional[program.User] = program.user("postgres")
        variables = ["-v", f"name={name}", "-v", f"user={user}"]
        command, text = ["psql", "-XAtq", "-h", "/run/postgresql", "-p", str(at), *variables, "postgres"], _POSTGRESQL
    else:
        who = program.user("root")
        command, text = ["mariadb", "--no-defaults", "-N", "-B", "-r"], _MYSQL.format(name=name, user=user)
    if who is None:
        return {}
    try:
        ended = program.run(command, text, environment, _SECONDS, who)
        found: dict[str, Any] = json.loads(ended.out) if ended.code == 0 else {}
    except (OSError, ValueError, program.TooSlowError):
        return {}
    if not found:
        return {}
    # To MariaDB what a subquery returns is a text.
    owns = json.loads(found["owns"]) if isinstance(found["owns"], str) else found["owns"]
    return {"owner": found["owner"], "powers": bool(found["powers"]), "owns": tuple(owns)}
