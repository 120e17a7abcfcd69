# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one can do with a lab: bring it up, take it down, and treat its hosts badly."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lab import guest, host, image, inventory, kernel, machine, network, requirements, state
from lab.base import LabError, Places, Progress, locked, private_directory, run, write_atomically
from lab.spec import DOMAIN, IMAGES, HostSpec
from lab.state import Host, Lab


def settings(places: Places) -> machine.Settings:
    """Look at what guests take over from this machine."""
    targets = ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    with requirements.apt(places):
        if not run(targets).stdout.strip():  # apt tells only of archives whose lists it has
            run(["apt-get", "update"], timeout=300)
    return machine.collect(os.environ, run(["apt-config", "dump"]).stdout, run(targets).stdout)


def build_image(places: Places, name: str, progress: Progress) -> Path:
    """Return the path of the disk image of that name, building it where absent."""
    if name not in IMAGES:
        raise LabError(f"no image {name!r}; known are {', '.join(IMAGES)}")
    recipe = image.recipe(IMAGES[name], settings(places), kernel.installed_release())
    return image.ensure(name, recipe, places.images, state.images_in_use(places), progress)


def require_root() -> None:
    """Refuse to go on without root's rights."""
    if os.geteuid() != 0:
        raise LabError("a lab makes network devices and file systems: run this as root")


def up(places: Places, name: str, specs: Sequence[HostSpec], progress: Progress) -> Lab:
    """Bring a lab up as specified; what is up already is kept.

    :raises LabError: see its message; calling again goes on from there.
    """
    require_root()
    directory = private_directory(state.directory_of(places, name))
    with locked(places.state / "locks" / name, f"works on lab {name}", progress):
        bases = {spec.image: str(build_image(places, spec.image, progress)) for spec in specs}
        old = state.load(places, name)
        lab = _reserve(places, name, specs, bases)
        _remove_hosts(lab, [known for known in (old.hosts.values() if old else ()) if known.name not in lab.hosts])
        if not network.is_up(lab.network):
            for known in lab.hosts.values():  # their cables lead to a switch that is gone
                if host.cut_power(lab, known):
                    progress(f"{known.name} had lost its network: boot it again")
        network.switch_forwarding_on(places.state / "forwarding-was-off")
        network.ensure(lab.network, directory / "switch.log")
        _write_identities(lab, settings(places))
        _bring_up(places, lab, list(lab.hosts.values()), progress)
    return lab


def _reserve(places: Places, name: str, specs: Sequence[HostSpec], bases: Mapping[str, str]) -> Lab:
    """Write the lab down before anything of it exists, so that a crash leaves nothing unknown."""
    with locked(places.state / "locks" / ".networks", "chooses a network"):
        lab = state.load(places, name)
        if lab is None:
            pool = os.environ.get("LAB_POOL") or network.POOL
            subnet = network.choose_subnet(pool, [*network.routed(), *state.subnets(places)])
            parts = state.network_of(places, name, str(subnet))
            lab = Lab(name=name, directory=state.directory_of(places, name), network=parts, hosts={})
        lab = replace(lab, hosts=state.assign(specs, lab.hosts, lab.network.subnet, bases))
        state.save(lab)
    return lab


def _remove_hosts(lab: Lab, hosts: Sequence[Host]) -> None:
    for known in hosts:
        host.cut_power(lab, known)
        for path in lab.directory.glob(f"{known.name}.*"):
            path.unlink()


def _new_key(path: Path, comment: str) -> str:
    """Make an ssh key pair where absent; return the public key's text."""
    public = path.with_name(f"{path.name}.pub")
    if not public.exists():
        path.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return public.read_text().strip()


def _write_identities(lab: Lab, inherited: machine.Settings) -> None:
    """Write what hosts read at boot and what their users need to reach them."""
    authorized = _new_key(lab.directory / "id_ed25519", f"lab-{lab.name}")
    direct = [*lab.hosts, f".{DOMAIN}", *lab.addresses.values()]
    environment = {**inherited.environment, **machine.proxy_environment(os.environ, direct)}
    keys = {}
    for known in lab.hosts.values():
        private = lab.directory / f"{known.name}.hostkey"
        keys[known.name] = _new_key(private, known.name)
        files = {
            "hostname": f"{known.name}\n",
            "hosts": guest.hosts_file(lab.addresses),
            "resolv.conf": guest.resolver_file(inherited.nameservers),
            "environment": guest.environment_file(environment),
            "authorized_keys": authorized + "\n",
            "ssh_host_ed25519_key": private.read_text(),
            "ssh_host_ed25519_key.pub": keys[known.name] + "\n",
            "network": guest.network_file(
                f"{known.address}/{lab.network.subnet.prefixlen}", lab.network.gateway, network.uplink_mtu()
            ),
        }
        write_atomically(lab.directory / f"{known.name}.tar", guest.archive(files))
    write_atomically(lab.directory / "known_hosts", inventory.known_hosts(lab, keys))
    write_atomically(lab.directory / "ssh_config", inventory.ssh_config(lab))
    write_atomically(lab.directory / "inventory.yml", inventory.inventory(lab))


def _bring_up(places: Places, lab: Lab, hosts: Sequence[Host], progress: Progress) -> None:
    """Have all of `hosts` up: keep those that are, boot the others at the same time."""
    booting = [known for known in hosts if not _is_kept(lab, known, progress)]
    for known in booting:
        progress(f"boot {known.name} ({known.image}, {known.memory_mb} MB; about 15 s)")
        host.start(lab, known, places.cache)
    host.wait(lab, booting, progress)


def _is_kept(lab: Lab, known: Host, progress: Progress) -> bool:
    """Tell whether a host is up already; it then learns of hosts that came since. Switch it off otherwise."""
    if not host.is_running(lab, known):
        return False
    if host.answers(known) and host.allows_login(lab, known):
        run([*host.ssh_command(lab), known.name, "/usr/local/sbin/lab-host"])
        progress(f"{known.name} is up already at {known.address}")
        return True
    progress(f"{known.name} runs but can't be logged in to: boot it again")
    host.cut_power(lab, known)
    return False


def down(places: Places, name: str, progress: Progress) -> None:
    """Remove all that a lab is; fine when there is nothing."""
    require_root()
    with locked(places.state / "locks" / name, f"works on lab {name}", progress):
        lab = state.load(places, name)
        if lab:
            _remove_hosts(lab, list(lab.hosts.values()))
            network.down(lab.network)
        shutil.rmtree(places.run / name, ignore_errors=True)
        directory = state.directory_of(places, name)
        if directory.exists():
            shutil.rmtree(directory)
            progress("removed")
    with locked(places.state / "locks" / ".networks", "chooses a network"):
        if not state.names(places):
            shutil.rmtree(places.run, ignore_errors=True)
            message = network.switch_forwarding_back(places.state / "forwarding-was-off")
            if message:
                progress(message)


def existing(places: Places, name: str) -> Lab:
    """Return the lab of that name.

    :raises LabError: there is none.
    """
    lab = state.load(places, name)
    if lab is None:
        raise LabError(f"no lab {name!r}; there is {', '.join(state.names(places)) or 'none'}; `lab up` makes one")
    return lab


def start(places: Places, name: str, host_name: str, progress: Progress) -> None:
    """Switch a host on again."""
    with locked(places.state / "locks" / name, f"works on lab {name}", progress):
        lab = existing(places, name)
        _bring_up(places, lab, [lab.host(host_name)], progress)


def power_cut(places: Places, name: str, host_name: str, progress: Progress) -> None:
    """Take a host's power away."""
    lab = existing(places, name)
    was_running = host.cut_power(lab, lab.host(host_name))
    progress(f"{host_name} lost its power" if was_running else f"{host_name} had no power")


def status(lab: Lab) -> str:
    """Describe a lab in a few lines."""
    lines = [f"{lab.name}: {lab.network.subnet}, switch {'up' if network.is_up(lab.network) else 'down'}"]
    for known in lab.hosts.values():
        power = "up" if host.is_running(lab, known) else "down"
        greets = ", ssh answers" if power == "up" and host.answers(known) else ""
        lines.append(f"  {known.name} {known.address} {known.image} {known.memory_mb} MB: {power}{greets}")
    return "\n".join(lines)
