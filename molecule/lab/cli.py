# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import docker, gateway, host, operations, requirements, spec, state
from lab.base import LabError, Places, Progress


def parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    top = argparse.ArgumentParser(prog="lab", description="Throwaway hosts for tests and the demo.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, *arguments: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        for argument in arguments:
            sub.add_argument(argument)
        return sub

    command("up", "bring a lab up as a spec says; what is up is kept", "lab").add_argument(
        "--spec", type=Path, required=True, help="YAML: hosts: {NAME: {image: debian-12, memory_mb: 512, groups: []}}"
    )
    down = command("down", "remove a lab: processes, disks, network, rules")
    down.add_argument("lab", nargs="?")
    down.add_argument("--all", action="store_true", help="remove all labs")
    command("start", "switch a host on again", "lab", "host")
    command("power-cut", "kill a host at once; its disk stays", "lab", "host")
    ssh = command("ssh", "log in to a host, or run a command there: ssh LAB HOST -- CMD…", "lab", "host")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD")
    command("status", "say what is up").add_argument("lab", nargs="?")
    command("inventory", "print the path of the Ansible inventory", "lab")
    command("image", "build a disk image where absent and print its path", "name")
    engine = command("docker-engine", "start a Docker engine where none answers")
    engine.add_argument("--stop", action="store_true", help="stop it again, if it was started so")
    ready = command("docker-ready", f"install and start Docker where needed; build images named {docker.OWN_PREFIX}…")
    ready.add_argument("tags", nargs="*", metavar="tag")
    command("s3-server", "build an S3 server where that has not been done yet, and print the path of the program")
    require = command("require", "install the Debian packages that a kind of host needs")
    require.add_argument("group", choices=sorted(requirements.GROUPS))
    return top


def _down(places: Places, options: argparse.Namespace) -> None:
    if bool(options.lab) == options.all:
        raise LabError("down: give the name of a lab, or --all")
    for name in state.names(places) if options.all else [options.lab]:
        operations.down(places, name, Progress(name))


def _ssh(places: Places, options: argparse.Namespace) -> None:
    lab = operations.existing(places, options.lab)
    words = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    argv = [*host.ssh_command(lab), lab.host(options.host).name, *words]
    os.execvp(argv[0], argv)


def _up(places: Places, options: argparse.Namespace) -> None:
    try:
        text = options.spec.read_text()
    except OSError as error:
        raise LabError(f"{options.spec}: {error.strerror}") from error
    name = spec.lab_name(options.lab)
    lab = operations.up(places, name, spec.parse(text, str(options.spec)), Progress(name))
    print(lab.directory / "inventory.yml")


def _status(places: Places, options: argparse.Namespace) -> None:
    for name in [options.lab] if options.lab else state.names(places):
        lab = operations.existing(places, name) if options.lab else state.load(places, name)
        print(operations.status(lab) if lab else f"{name}: nothing but its directory")


def _docker_engine(places: Places, options: argparse.Namespace) -> None:
    progress = Progress("docker")
    if options.stop:
        docker.stop_engine(places, progress)
    else:
        requirements.require(places, "docker", progress)
        docker.start_engine(places, progress)


def _docker_ready(places: Places, options: argparse.Namespace) -> None:
    progress = Progress("docker")
    requirements.require(places, "docker", progress)
    docker.make_ready(places, options.tags, operations.settings(places), progress)


COMMANDS: Mapping[str, Callable[[Places, argparse.Namespace], None]] = {
    "up": _up,
    "down": _down,
    "start": lambda places, options: operations.start(places, options.lab, options.host, Progress(options.lab)),
    "power-cut": lambda places, options: operations.power_cut(places, options.lab, options.host, Progress(options.lab)),
    "ssh": _ssh,
    "status": _status,
    "inventory": lambda places, options: print(operations.existing(places, options.lab).directory / "inventory.yml"),
    "image": lambda places, options: print(operations.build_image(places, options.name, Progress(options.name))),
    "docker-engine": _docker_engine,
    "docker-ready": _docker_ready,
    "s3-server": lambda places, _options: print(gateway.build(places, Progress("s3-server"))),
    "require": lambda places, options: requirements.require(places, options.group, Progress("require")),
}


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit status."""
    options = parser().parse_args(argv)
    # Plain `su` leaves root without the directories that hold iptables and mke2fs.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        COMMANDS[options.command](Places.from_environment(os.environ), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the same command goes on from here, `lab down` removes what there is", file=sys.stderr)
        return 130
    return 0
