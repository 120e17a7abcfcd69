#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nfs_export
short_description: Judge an NFS export, have its directory and its exports file
version_added: 1.0.0
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
description:
  - Judges an export as a whole - path, clients, options, and what the host exports already - and fails
    with everything that stands in the way.
  - Has the exported directory, with numeric owner and group and a POSIX default ACL that gives the group all
    rights, so that a client's umask of C(022) locks nobody out. Never recursively, and never a directory
    that belongs to someone else and is not empty.
  - Writes an exports file and a settings file of its own, atomically. Making the running server read them is up
    to handlers.
options:
  path:
    description: Absolute path of the exported directory.
    type: str
    required: true
  clients:
    description: Host names, addresses, networks, patterns or netgroups, as in C(exports(5\)).
    type: list
    elements: str
    required: true
  options:
    description: Options for all clients, without those that have an option of their own here.
    type: list
    elements: str
    default: [rw, sync, no_subtree_check, crossmnt, sec=sys]
  squash:
    description: Whose requests are taken for those of the anonymous user, only root's or all.
    type: str
    choices: [root_squash, all_squash]
    default: root_squash
  anonymous_uid:
    description: Number of the anonymous user, with O(squash=all_squash).
    type: int
    default: 65534
  anonymous_gid:
    description: Number of the anonymous group, with O(squash=all_squash).
    type: int
    default: 65534
  fsid:
    description: UUID that names the file system in the clients' file handles.
    type: str
    required: true
  mount_point_only:
    description: Export only while O(path) is a mount point, so never the empty directory beneath a lost disk.
    type: bool
    default: false
  allow_everyone:
    description: Whether V(*) among O(clients) is accepted.
    type: bool
    default: false
  owner_uid:
    description: Number of the directory's owner. The account need not exist on this host.
    type: int
    required: true
  group_gid:
    description: Number of the directory's group.
    type: int
    required: true
  mode:
    description: Permission bits of the directory, an octal number in quotes.
    type: str
    default: "2770"
  default_acl:
    description: Whether the directory gets the default ACL.
    type: bool
    default: true
  file:
    description:
      - The exports file that is ours and has nothing else in it. Others are read for lines about the same directory.
      - Its name must end in C(.exports) for exportfs to read it.
    type: path
    default: /etc/exports.d/mlflow.exports
  manage_gids:
    description:
      - Whether the server looks up a user's groups in its own accounts, as C(manage-gids) in C(nfs.conf(5\)) says.
      - Otherwise it believes the client, which tells 16 groups at most. Distributions switch it on; then a user whom
        the NAS doesn't know is in no group there, and can't enter a directory that is open to a group.
    type: bool
    default: false
  settings_file:
    description: The file of ours that says so, and that is read together with C(nfs.conf(5\)).
    type: path
    default: /etc/nfs.conf.d/mlflow.conf
  header:
    description: Comment at the top of both files, each line beginning with C(#).
    type: str
    default: ''
attributes:
  check_mode:
    description: Can predict changes without making them.
    support: full
  diff_mode:
    description: Shows owner, group, mode and default ACL of the directory, and the exports file.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
notes:
  - Needs root.
  - Run it with C(check_mode) set to V(true) as a preflight.
"""

EXAMPLES = r"""
- name: Export a directory
  selfhosted.mlflow.nfs_export:
    path: /srv/mlflow
    clients: [mlflow.example.org, 10.0.7.0/24]
    fsid: 5c9d2f0e-6a1b-5d3c-9f4e-2b7a8c1d0e9f
    owner_uid: 850
    group_gid: 851
  notify: Reload the exports
"""

RETURN = r"""
pending:
  description: Whether there was anything to do, which a call in check mode leaves to be done.
  returned: always
  type: bool
reload_needed:
  description:
    - Whether the running server does not export what O(file) says. That makes the module report a change, so that
      a handler is notified again after a run that was interrupted before it.
  returned: always
  type: bool
server_missing:
  description: Whether the NFS server is yet to be installed.
  returned: always
  type: bool
settings_changed:
  description: Whether O(settings_file) has changed. Only then is the mount daemon to be restarted, for requests that
    arrive meanwhile can wait a minute for their answer.
  returned: always
  type: bool
"""

import glob
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    bounded,
    directories,
    directory_plan,
    mountinfo,
    name_service,
    nfs_exports,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem, render

_SECONDS = 20.0
_PROGRAMS = "/usr/sbin:/sbin"
_ETAB = "/var/lib/nfs/etab"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _is_serving() -> bool:
    return _read("/proc/fs/nfsd/threads").strip() not in ("", "0")


def _evidence(wish: nfs_exports.Wish, file: str) -> nfs_exports.Evidence:
    others = {"/etc/exports", *glob.glob("/etc/exports.d/*.exports")} - {file}
    names = [client for client in wish.clients if nfs_exports.is_name(client)]
    return nfs_exports.Evidence(
        others={name: _read(name) for name in others},
        ours=_read(file),
        unknown_names=frozenset(name for name in names if not name_service.addresses(name)),
        is_mount_point=mountinfo.at(mountinfo.read(), wish.path) is not None,
        versions=_read("/proc/fs/nfsd/versions"),
        systemd=os.path.isdir("/run/systemd/system"),
    )


@dataclass(frozen=True)
class _File:
    """A file that isn't as it should be."""

    path: str
    before: str
    after: str

    def diff(self) -> dict[str, str]:
        return {"before_header": self.path, "after_header": self.path, "before": self.before, "after": self.after}


def _files(params: dict[str, Any], wish: nfs_exports.Wish) -> list[_File]:
    """Return those of our files that have to be written."""
    contents = {
        params["file"]: nfs_exports.render(wish.path, wish.all_options(), wish.clients),
        params["settings_file"]: f"[mountd]\nmanage-gids={'y' if params['manage_gids'] else 'n'}",
    }
    files = []
    for path, body in contents.items():
        text = "".join(f"{part.rstrip()}\n" for part in (params["header"], body) if part)
        before = _read(path)
        if text != before:
            files.append(_File(path, before, text))
    return files


def _write(module: AnsibleModule, file: _File) -> None:
    os.makedirs(os.path.dirname(file.path), mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=module.tmpdir)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(file.after)
    os.chmod(temporary, 0o644)
    module.atomic_move(temporary, file.path)


def _directory(
    wanted: directory_plan.Wanted,
    check_mode: bool,
) -> tuple[directory_plan.Found, directory_plan.Plan]:
    found = directories.inspect(wanted, _SECONDS)
    if found.network:
        steps = directory_plan.Plan(
            wanted.path,
            problem=Problem(
                f"{wanted.path} is itself on a share, {found.source}",
                "an NFS mount can't be exported again with its ownership and locks intact",
                f"run this role on the host behind {found.source}",
            ),
        )
        return found, steps
    return found, directory_plan.plan(wanted, found, check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "str", "required": True},
            "clients": {"type": "list", "elements": "str", "required": True},
            "options": {
                "type": "list",
                "elements": "str",
                "default": ["rw", "sync", "no_subtree_check", "crossmnt", "sec=sys"],
            },
            "squash": {"type": "str", "choices": ["root_squash", "all_squash"], "default": "root_squash"},
            "anonymous_uid": {"type": "int", "default": 65534},
            "anonymous_gid": {"type": "int", "default": 65534},
            "fsid": {"type": "str", "required": True},
            "mount_point_only": {"type": "bool", "default": False},
            "allow_everyone": {"type": "bool", "default": False},
            "owner_uid": {"type": "int", "required": True},
            "group_gid": {"type": "int", "required": True},
            "mode": {"type": "str", "default": "2770"},
            "default_acl": {"type": "bool", "default": True},
            "file": {"type": "path", "default": "/etc/exports.d/mlflow.exports"},
            "manage_gids": {"type": "bool", "default": False},
            "settings_file": {"type": "path", "default": "/etc/nfs.conf.d/mlflow.conf"},
            "header": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    wish = nfs_exports.Wish(
        path=params["path"].rstrip("/") or params["path"],
        clients=tuple(params["clients"]),
        options=tuple(params["options"]),
        fsid=params["fsid"],
        squash=params["squash"],
        anonymous=(params["anonymous_uid"], params["anonymous_gid"]),
        mount_point_only=params["mount_point_only"],
        allow_everyone=params["allow_everyone"],
    )
    problems = nfs_exports.judge(wish, _evidence(wish, params["file"]))
    if problems:
        module.fail_json(msg=render(problems))
    wanted = directory_plan.Wanted(
        path=wish.path,
        uid=params["owner_uid"],
        gid=params["group_gid"],
        mode=int(params["mode"], 8),
        shared=params["default_acl"],
    )
    files = _files(params, wish)
    try:
        found, steps = _directory(wanted, module.check_mode)
        if steps.problem:
            module.fail_json(msg=render([steps.problem]))
        if steps.warning:
            module.warn(steps.warning)
        if steps.changes and not module.check_mode:
            directories.apply(wanted, found, steps, _SECONDS)
        for file in files if not module.check_mode else ():
            _write(module, file)
    except (OSError, bounded.NoAnswerError) as error:
        module.fail_json(msg=f"{wish.path}: {error}")
    reload_needed = bool(files) or (_is_serving() and not nfs_exports.is_exported(wish, _read(_ETAB)))
    module.exit_json(
        changed=steps.changes or reload_needed,
        pending=bool(steps.changes) or reload_needed,
        reload_needed=reload_needed,
        server_missing=shutil.which("rpc.nfsd", path=_PROGRAMS) is None,
        settings_changed=any(file.path == params["settings_file"] for file in files),
        diff=[directories.diff([(wanted, found, steps)]), *(file.diff() for file in files)],
    )


if __name__ == "__main__":
    main()
