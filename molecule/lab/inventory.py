# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible and ssh are told about a lab's hosts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from lab.spec import DOMAIN
from lab.state import Lab


def ssh_options(directory: Path, sockets: Path) -> dict[str, str]:
    """Return the ssh_config(5) options for a lab whose files are in `directory`."""
    return {
        "User": "root",
        "IdentityFile": str(directory / "id_ed25519"),
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": str(directory / "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "ControlMaster": "auto",
        "ControlPath": str(sockets / "ssh-%h"),
        "ControlPersist": "10m",
        # A host that rebooted or lost its power must not leave a dead shared connection behind.
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ConnectTimeout": "10",
    }


def ssh_config(lab: Lab) -> str:
    """Return an ssh_config for ``ssh -F``; hosts go by their name, with and without the domain."""
    lines = []
    for host in lab.hosts.values():
        lines += [f"Host {host.name} {host.name}.{DOMAIN}", f"  HostName {host.address}"]
    lines.append("Host *")
    lines += [f"  {key} {value}" for key, value in ssh_options(lab.directory, lab.network.run).items()]
    return "\n".join(lines) + "\n"


def known_hosts(lab: Lab, keys: Mapping[str, str]) -> str:
    """Return a known_hosts file.

    :param keys: host name -> public key, as ``ssh-ed25519 AAAA…``.
    """
    return "".join(f"{lab.hosts[name].address} {key}\n" for name, key in keys.items() if name in lab.hosts)


def connection(lab: Lab, name: str) -> dict[str, object]:
    """Return the variables Ansible needs to reach a host."""
    options = ssh_options(lab.directory, lab.network.run)
    arguments = " ".join(f"-o {key}={value}" for key, value in options.items() if key not in ("User", "IdentityFile"))
    return {
        "ansible_host": lab.host(name).address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": options["IdentityFile"],
        "ansible_ssh_common_args": arguments,
        "ansible_ssh_pipelining": True,
        "ansible_port": 22,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def inventory(lab: Lab) -> str:
    """Return the inventory as YAML."""
    groups: dict[str, dict[str, dict[str, None]]] = {}
    for host in lab.hosts.values():
        for group in host.groups:
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = None
    everything: dict[str, object] = {"hosts": {name: connection(lab, name) for name in lab.hosts}}
    if groups:
        everything["children"] = groups
    return yaml.safe_dump({"all": everything}, sort_keys=False)
