# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user-mode Linux host finds inside: who it is, read from its second disk at every boot."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence

from lab.spec import DOMAIN

UNIT = "lab-host.service"

_SCRIPT = """\
#!/bin/sh
# Take this host's identity from the lab: a tar archive on the second disk.
set -eu
here=/run/lab-host
mkdir -p -m 0700 "$here"
tar -xf /dev/ubdb -C "$here"
. "$here/network"
ip link set lo up
ip link set eth0 mtu "$MTU" up
ip address replace "$ADDRESS" dev eth0
ip route replace default via "$GATEWAY"
cat "$here/hosts" > /etc/hosts
if [ ! -e /var/lib/lab-host/done ]; then
    cp "$here/hostname" "$here/resolv.conf" "$here/environment" /etc/
    install -m 0600 "$here/ssh_host_ed25519_key" /etc/ssh/
    install -m 0644 "$here/ssh_host_ed25519_key.pub" /etc/ssh/
    install -d -m 0700 /root/.ssh
    install -m 0600 "$here/authorized_keys" /root/.ssh/
    mkdir -p /var/lib/lab-host
    sync
    : > /var/lib/lab-host/done
fi
"""

_SERVICE = """\
[Unit]
Description=Identity and network of a lab host
DefaultDependencies=no
After=systemd-remount-fs.service systemd-tmpfiles-setup-dev.service
Before=sysinit.target network-pre.target network.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/lab-host
"""

FILES: Mapping[str, str] = {
    "/usr/local/sbin/lab-host": _SCRIPT,
    f"/etc/systemd/system/{UNIT}": _SERVICE,
    "/etc/fstab": "/dev/ubda / ext4 defaults 0 0\n",
}


def hosts_file(addresses: Mapping[str, str]) -> str:
    """Return /etc/hosts for a lab whose hosts have these IPv4 addresses."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {name}.{DOMAIN} {name}" for name, address in addresses.items()]
    return "\n".join(lines) + "\n"


def environment_file(values: Mapping[str, str]) -> str:
    """Return /etc/environment, which pam_env reads for every login."""
    return "".join(f'{name}="{value}"\n' for name, value in sorted(values.items()))


def resolver_file(nameservers: Sequence[str]) -> str:
    """Return /etc/resolv.conf."""
    return "".join(f"nameserver {address}\n" for address in nameservers)


def network_file(address: str, gateway: str, mtu: int) -> str:
    """Return the variables the boot script sets the network up from; `address` is as 10.0.0.2/24."""
    return f"ADDRESS={address}\nGATEWAY={gateway}\nMTU={mtu}\n"


def archive(files: Mapping[str, str]) -> bytes:
    """Pack files into the tar archive a guest reads; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            data = content.encode()
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
