# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import host, operations, spec, state
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


def run(places: Places, options: argparse.Namespace) -> None:
    """Do what the command line says.

    :raises LabError: it can't be done.
    """
    if options.command == "up":
        try:
            text = options.spec.read_text()
        except OSError as error:
            raise LabError(f"{options.spec}: {error.strerror}") from error
        name = spec.check_name(options.lab, "lab")
        operations.up(places, name, spec.parse(text, str(options.spec)), Progress(name))
    elif options.command == "down":
        _down(places, options)
    elif options.command == "start":
        operations.start(places, options.lab, options.host, Progress(options.lab))
    elif options.command == "power-cut":
        operations.power_cut(places, options.lab, options.host, Progress(options.lab))
    elif options.command == "ssh":
        _ssh(places, options)
    elif options.command == "status":
        for name in [options.lab] if options.lab else state.names(places):
            print(operations.status(operations.existing(places, name)))
    elif options.command == "inventory":
        print(operations.existing(places, options.lab).directory / "inventory.yml")
    elif options.command == "image":
        print(operations.build_image(places, options.name, Progress(options.name)))


def main(argv: Sequence[str]) -> int:
    """Run the command line and return the exit status."""
    options = parser().parse_args(argv)
    try:
        run(Places.from_environment(os.environ), options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0
