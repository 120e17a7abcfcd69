# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of exports(5): read, judged and written."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_OCTAL = re.compile(r"\\([0-7]{3})")
_TOKEN = re.compile(r'"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+)')
_CLIENT = re.compile(r"(?P<name>[^()]*)(\((?P<options>[^()]*)\))?")
_SAFE_CLIENT = re.compile(r"@?[A-Za-z0-9_.:*?\[\]/-]+")
_SAFE_OPTION = re.compile(r"[a-z_]+(=[A-Za-z0-9_.:/@-]+)?")
_OWN_OPTIONS = ("fsid", "anonuid", "anongid", "root_squash", "all_squash", "mountpoint", "mp")
_EVERYONE = ("*", "0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Client:
    """One who may mount, with the options that hold for it."""

    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """One exported directory."""

    path: str
    clients: tuple[Client, ...]

    def option(self, name: str) -> Optional[str]:
        """Return the value of an option of the first client that has it."""
        for client in self.clients:
            for option in client.options:
                key, _equals, value = option.partition("=")
                if key == name:
                    return value
        return None


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match.group(1), 8)), text)


def _split(options: str) -> tuple[str, ...]:
    return tuple(option for option in options.split(",") if option)


def _parse_line(line: str) -> Optional[Export]:
    tokens = [match.group("quoted") or match.group("plain") or "" for match in _TOKEN.finditer(line)]
    if not tokens:
        return None
    defaults: tuple[str, ...] = ()
    clients = []
    for token in tokens[1:]:
        if token.startswith("-"):
            defaults = _split(token[1:])
            continue
        match = _CLIENT.fullmatch(token)
        if match:
            options = defaults + _split(match.group("options") or "")
            clients.append(Client(_unescape(match.group("name")) or "*", options))
    return Export(_unescape(tokens[0]), tuple(clients))


def parse(text: str) -> tuple[Export, ...]:
    """Return the exports of an exports(5) file; what can't be read as a client is left out."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines())
    return tuple(export for export in map(_parse_line, lines) if export is not None)


def _escape(path: str) -> str:
    r"""Write what exports(5) would split or end a path at, as ``\ooo``."""
    return re.sub(r'[\s"#\\]', lambda match: f"\\{ord(match.group()):03o}", path)


def render(path: str, options: Sequence[str], clients: Iterable[str]) -> str:
    """Return one export as a line of exports(5), a client on each continuation, so that a diff is short."""
    heads = [f"{_escape(path)} -{','.join(options)}", *(f"    {client}" for client in clients)]
    return " \\\n".join(heads)


@dataclass(frozen=True)
class Wish:
    """The inputs, as they were given."""

    path: str
    clients: tuple[str, ...]
    options: tuple[str, ...]
    fsid: str
    squash: str = "root_squash"
    anonymous: tuple[int, int] = (0, 0)
    mount_point_only: bool = False
    allow_everyone: bool = False

    def all_options(self) -> tuple[str, ...]:
        """Return the options of the export's line."""
        squash = [self.squash]
        if self.squash == "all_squash":
            squash += [f"anonuid={self.anonymous[0]}", f"anongid={self.anonymous[1]}"]
        return (*self.options, *squash, f"fsid={self.fsid}", *(("mountpoint",) if self.mount_point_only else ()))


@dataclass(frozen=True)
class Evidence:
    """What the host says.  ``others`` are all exports files but ours, by path; ``ours`` is our own one's text."""

    others: Mapping[str, str]
    ours: str = ""
    unknown_names: frozenset[str] = frozenset()
    is_mount_point: bool = True
    versions: str = ""
    systemd: bool = True


def is_name(client: str) -> bool:
    """Whether a client is a host name, which has to be resolved, not an address, a pattern or a netgroup."""
    if client.startswith("@") or any(character in client for character in "*?[/"):
        return False
    return not _is_address(client)


def _is_address(client: str) -> bool:
    try:
        ipaddress.ip_address(client)
    except ValueError:
        return False
    return True


def _judge_clients(wish: Wish, evidence: Evidence) -> list[Problem]:
    if not wish.clients:
        return [
            Problem(
                "mlflow_nfs_export_clients is empty",
                "the share would be exported to no one, or, read another way, to everyone",
                "put hosts into the groups mlflow_server and mlflow_clients, or list names, addresses or networks",
            ),
        ]
    problems = []
    for client in wish.clients:
        if client in _EVERYONE and not wish.allow_everyone:
            problems.append(
                Problem(
                    f"mlflow_nfs_export_clients has {client!r}",
                    "whoever reaches the NAS could read and write all artifacts",
                    "list the hosts or their network, or set mlflow_nfs_export_allow_everyone: true",
                ),
            )
        elif not _SAFE_CLIENT.fullmatch(client):
            problems.append(
                Problem(
                    f"mlflow_nfs_export_clients has {client!r}",
                    "exports(5) would read it as something else: a space before '(' exports to everyone",
                    "write a host name, an address, a network such as 10.0.0.0/24, or @netgroup, without options",
                ),
            )
        elif client in evidence.unknown_names:
            problems.append(
                Problem(
                    f"mlflow_nfs_export_clients has {client}, a name this host does not know",
                    "exportfs would leave it out, and the client could not mount",
                    "add it to DNS or /etc/hosts of the NAS, set its ansible_host, or write its address",
                ),
            )
    return problems


def _judge_options(wish: Wish) -> list[Problem]:
    problems = []
    for option in wish.options:
        name = option.partition("=")[0]
        if name == "no_root_squash":
            why = "root of any client could write as anyone, and leave files that only root may remove"
            instead = "leave it out; nothing in this collection needs it"
        elif name in _OWN_OPTIONS:
            why = "it has an input of its own, and would stand twice in the line"
            instead = "use mlflow_nfs_export_squash, _anonymous_uid, _anonymous_gid, _fsid or _mount_point_only"
        elif not _SAFE_OPTION.fullmatch(option):
            why = "exportfs would refuse the line, or read it as something else"
            instead = "write options as exports(5) has them, one per item"
        else:
            continue
        problems.append(Problem(f"mlflow_nfs_export_options has {option!r}", why, instead))
    return problems


def _judge_others(wish: Wish, evidence: Evidence) -> list[Problem]:
    problems = []
    for name, text in sorted(evidence.others.items()):
        for export in parse(text):
            if export.path.rstrip("/") == wish.path:
                clients = " ".join(f"{client.name}({','.join(client.options)})" for client in export.clients)
                problems.append(
                    Problem(
                        f"{name} already exports {export.path} to {clients}",
                        "of two lines for one directory exportfs takes the first it meets",
                        f"delete that line from {name}, or keep it and leave mlflow_nfs_export out",
                    ),
                )
    return problems


def judge(wish: Wish, evidence: Evidence) -> list[Problem]:
    """Return why the directory can't be exported as it is wanted; nothing is touched."""
    instead = "write an absolute path of its own, such as /srv/mlflow, in mlflow_nfs_share (HOST:/PATH)"
    try:
        nfs_share.check_path(wish.path)
    except ValueError as error:
        return [Problem(f"mlflow_nfs_export_path: {error}", "a client could not ask for it", instead)]
    problems = []
    if nfs_share.is_system_directory(wish.path):
        why = "the system's own files would be given to the clients"
        problems.append(Problem(f"mlflow_nfs_export_path is {wish.path}", why, instead))
    problems += _judge_clients(wish, evidence) + _judge_options(wish) + _judge_others(wish, evidence)
    before = [export.option("fsid") for export in parse(evidence.ours) if export.path == wish.path]
    if before and before[0] not in (None, wish.fsid):
        problems.append(
            Problem(
                f"{wish.path} is exported with fsid={before[0]}, wanted is fsid={wish.fsid}",
                "every client would get 'Stale file handle' for what it has mounted",
                f"set mlflow_nfs_export_fsid: {before[0]}; to change it all the same, unmount all clients and "
                "remove our exports file first",
            ),
        )
    if wish.mount_point_only and not evidence.is_mount_point:
        problems.append(
            Problem(
                f"mlflow_nfs_export_mount_point_only is set, and nothing is mounted at {wish.path}",
                "nfsd would not export it",
                "mount its disk first, or set mlflow_nfs_export_mount_point_only: false",
            ),
        )
    if "-4" in evidence.versions.split():
        why = "the clients mount with NFSv4.2, whose server side honours the directory's default ACL"
        problems.append(Problem("NFSv4 is switched off here", why, "remove vers4=n from /etc/nfs.conf"))
    if not evidence.systemd:
        why = "the NFS server is run by systemd here"
        problems.append(Problem("this host was not booted by systemd", why, "export the share by your own means"))
    return problems


#: Options that the server's own table shows as they were written.
_SHOWN_OPTIONS = frozenset(("rw", "ro", "sync", "async", "crossmnt", "no_subtree_check", "root_squash", "all_squash"))


def is_exported(wish: Wish, table: str) -> bool:
    """Whether the running server's table (/var/lib/nfs/etab) has the export as it is wanted.

    Names stand there in the resolver's form, so only plain addresses are looked for one by one.
    """
    found = [client for export in parse(table) if export.path == wish.path for client in export.clients]
    wanted = {option for option in wish.all_options() if option in _SHOWN_OPTIONS or option.startswith("fsid=")}
    addresses = {client for client in wish.clients if _is_address(client)}
    return (
        bool(found)
        and addresses <= {client.name for client in found}
        and all(wanted <= set(client.options) for client in found)
    )
