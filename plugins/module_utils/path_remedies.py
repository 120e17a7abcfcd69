# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about an artifact path, in commands that can be typed as they stand.

A remedy says on which host, then the commands between backquotes, in their order.
Nothing here deletes or overwrites a user's data.
"""

from __future__ import annotations

import shlex

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_share
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_evidence import Evidence

_PROXIED = "or let artifacts go through the server (mlflow_artifact_access: proxied)"


def _file_server(seen: Evidence) -> str:
    for source in (seen.mount.source if seen.mount and seen.mount.is_nfs else "", seen.share):
        try:
            return nfs_share.parse(source).host
        except ValueError:
            continue
    return "the NFS server"


def _mount_point(seen: Evidence) -> str:
    return shlex.quote(seen.share_at or seen.path)


def _mounted_at(seen: Evidence) -> str:
    return shlex.quote(seen.mount.mount_point if seen.mount else seen.path)


def _mount_command(seen: Evidence) -> str:
    if seen.declared == "/etc/fstab" or not seen.share:
        return f"`mount {_mount_point(seen)}`"
    return f"`mount -t nfs {shlex.quote(seen.share)} {_mount_point(seen)}`"


def _rescue(seen: Evidence) -> tuple[str, str]:
    """Return what to do before and after mounting so that what lies beneath is neither lost nor hidden."""
    if not seen.stranded:
        return "", ""
    path, aside = shlex.quote(seen.path), shlex.quote(f"{seen.path}.stranded")
    first = shlex.quote(f"{seen.path}.stranded{seen.stranded[0][len(seen.path) :]}")
    # Their owner copies, for root is nobody to most NFS servers.  The same words for every user: it is to be done once.
    owner = f'"$(stat --format=%U {first})"'
    return (
        f"`mv {path} {aside}`, `mkdir -p {path}`, ",
        f", then bring back what was stranded: `runuser -u {owner} -- cp -Rn {aside}/. {path}/`",
    )


def stranded(seen: Evidence) -> str:
    """Return a sentence about runs that were written to the wrong place, or ''."""
    if not seen.stranded:
        return ""
    return f". Artifacts of runs are stranded here: {', '.join(seen.stranded)}"


def mount(seen: Evidence) -> str:
    """Mount the share where nothing is mounted yet."""
    before, after = _rescue(seen)
    if not seen.share:
        return f"mount the server's directory at {seen.path}{after and ' after moving aside what is there'}, {_PROXIED}"
    make = f"`mkdir -p {_mount_point(seen)}`, " if seen.first_missing else ""
    return (
        f"on the client: {before}{make}{_mount_command(seen)}{after}; "
        f"to keep it, deploy the role mlflow_nfs_mount; {_PROXIED}"
    )


def start_mount(seen: Evidence) -> str:
    """Start a mount that is declared already."""
    before, after = _rescue(seen)
    unit = seen.declared.endswith((".mount", ".automount"))
    start = f"`systemctl start {shlex.quote(seen.declared)}`" if unit else f"`mount {_mount_point(seen)}`"
    log = f"`journalctl -u {shlex.quote(seen.declared)}`" if unit else "`dmesg | tail`"
    return f"on the client: {before}{start}{after}; if it fails, {log} says why"


def remount(seen: Evidence) -> str:
    """Mount the same share anew, though its server has forgotten the old handle."""
    point = _mounted_at(seen)
    if seen.declared and seen.declared != "/etc/fstab":
        return f"on the client: `umount -l {point}`, `systemctl restart {shlex.quote(seen.declared)}`"
    return f"on the client: `umount -l {point}`, {_mount_command(seen)}"


def remount_right(seen: Evidence) -> str:
    """Mount the right share instead of another one."""
    if not seen.share:
        return f"mount the server's own directory at {seen.path}; compare with what the server shows there"
    return (
        f"on the client: `umount {_mounted_at(seen)}`, `mkdir -p {_mount_point(seen)}`, "
        f"`mount -t nfs {shlex.quote(seen.share)} {_mount_point(seen)}`; "
        "correct /etc/fstab or the mount unit likewise"
    )


def make_writable(seen: Evidence) -> str:
    """Turn a read-only mount into one that can be written."""
    return f"on the client: `mount -o remount,rw {_mounted_at(seen)}`; take ro out of /etc/fstab or the mount unit"


def other_path(seen: Evidence) -> str:
    """Choose another path where this one can't be made."""
    if seen.system == "darwin":
        return (
            "macOS seals the root directory: use a path below /Volumes, /opt or /System/Volumes/Data on all hosts, "
            f"or make this one by /etc/synthetic.conf and a restart, {_PROXIED}"
        )
    return f"choose an artifact root that this host can have, {_PROXIED}"


def look_at_server(seen: Evidence) -> str:
    """Look at a file server that does not answer."""
    return (
        f"on {_file_server(seen)}: `systemctl status nfs-server`, `exportfs -v`; "
        f"between the hosts: is tcp port 2049 open? Afterwards check again"
    )


def take_off_sticky_bit(seen: Evidence) -> str:
    """Have a shared directory without the sticky bit."""
    return f"on the NFS server: `chmod -t` the exported directory behind {seen.path}, and give it 2770 with the shared group"


def give_access(seen: Evidence) -> str:
    """Let a user write."""
    group = f"group {seen.owner_gid}" if seen.owner_gid >= 0 else "the shared group"
    return (
        f"put {seen.user} into {group} on this host (mlflow_client_users), with the same number on the NFS server, "
        "and log in again; the directory wants mode 2770 or 2775 on the NFS server"
    )


def share_with_colleagues(path: str) -> str:
    """Let members of the shared group write into each other's directories."""
    return (
        f"on the NFS server, with D the exported directory behind {path}: `chmod 2770 D`, "
        "`setfacl -d -m u::rwx,g::rwx,m::rwx,o::- D` (with NFS 4.2 on the clients), as the role mlflow_nfs_export does; "
        'with another NAS have the users\' umask be 0002 (mlflow_client_umask: "0002"), or all_squash with one anonuid'
    )


def know_the_groups(seen: Evidence) -> str:
    """Have the NFS server look up the groups that do not fit into a call."""
    return (
        "on the NFS server: write manage-gids=y below [mountd] in /etc/nfs.conf.d/local.conf, have all users and their "
        f"groups known there, then `systemctl restart nfs-mountd`; on the client: `umount {_mounted_at(seen)}`, "
        f"{_mount_command(seen)}, for it remembers the refusal"
    )
