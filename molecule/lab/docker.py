# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker: an engine where none answers, and an image with systemd where there is no registry."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from lab import image, machine, processes
from lab.base import LabError, Places, Progress, locked, private_directory, run
from lab.spec import IMAGES

ENGINE_SECONDS = 60
OWN_PREFIX = "selfhosted-mlflow/"  # images of other names are the user's
_LABEL = "selfhosted.mlflow.recipe"


def answers() -> bool:
    """Tell whether a Docker engine answers."""
    return not run(["docker", "version", "--format", "{{.Server.Version}}"], check=False, timeout=30).returncode


def _pid_file(places: Places) -> Path:
    return places.run / "dockerd.pid"


def start_engine(places: Places, progress: Progress) -> None:
    """Start an engine where none answers; it outlives this command.

    :raises LabError: it does not answer in time.
    """
    with locked(places.state / "locks" / ".dockerd", "starts a Docker engine", progress):
        if answers():
            return
        if os.geteuid() != 0:
            raise LabError("no Docker engine answers; start it as root, or run this as root")
        progress("start a Docker engine")
        log = private_directory(places.state) / "dockerd.log"
        if Path("/run/systemd/system").is_dir():
            run(["systemctl", "start", "docker.service"], timeout=ENGINE_SECONDS)
        else:
            private_directory(places.run)
            argv = ["dockerd", f"--pidfile={_pid_file(places)}"]
            processes.detach(argv, log, os.environ)
        deadline = time.monotonic() + ENGINE_SECONDS
        while not answers():
            if time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
                raise LabError(f"no Docker engine answers after {ENGINE_SECONDS} s; see {log}\n{tail}")
            time.sleep(0.2)


def stop_engine(places: Places, progress: Progress) -> None:
    """Stop the engine that `start_engine` started, and no other."""
    marks = ("dockerd", f"--pidfile={_pid_file(places)}")
    if processes.terminate(marks, ENGINE_SECONDS):
        progress("the Docker engine is stopped")


def changes(environment: Mapping[str, str], key: str) -> list[str]:
    """Return what ``docker import --change`` adds to a plain root file system."""
    lines = ['CMD ["/sbin/init"]', f"LABEL {_LABEL}={key}", "ENV container=docker"]
    lines += [f'ENV {name}="{value}"' for name, value in sorted(environment.items())]
    return lines


def build_image(places: Places, tag: str, suite: str, settings: machine.Settings, progress: Progress) -> None:
    """Make an image of a Debian suite with systemd, unless `tag` is that already."""
    if suite not in IMAGES.values():
        raise LabError(f"no suite {suite!r}; known are {', '.join(IMAGES.values())}")
    recipe = image.recipe(suite, settings, None)
    environment = {**settings.environment, **machine.proxy_environment(os.environ, ())}
    key = image.fingerprint([recipe.key, *changes(environment, "")])
    private_directory(places.images)
    with locked(places.images / f"docker-{suite}.lock", f"builds a Docker image of {suite}", progress):
        label = f'{{{{index .Config.Labels "{_LABEL}"}}}}'
        if run(["docker", "image", "inspect", "--format", label, tag], check=False).stdout.strip() == key:
            return
        progress(f"build Docker image {tag} from Debian's packages (about 45 s)")
        with image.scratch(places.images, f"docker-{suite}") as directory:
            root, archive = directory / "root", directory / "root.tar"
            root.mkdir(mode=0o755)
            image.build_root(recipe, root)
            run(["tar", "--numeric-owner", "-C", str(root), "-cf", str(archive), "."], timeout=300)
            words = [word for line in changes(environment, key) for word in ("--change", line)]
            run(["docker", "import", *words, str(archive), tag], timeout=300)
        # What the tag named before, and nothing that isn't ours.
        run(["docker", "image", "prune", "--force", "--filter", f"label={_LABEL}"], check=False, timeout=120)
        progress(f"Docker image {tag} is ready")


def make_ready(places: Places, tag: str, settings: machine.Settings, progress: Progress) -> None:
    """Have an engine that answers, and the image where `tag` is one of ours."""
    start_engine(places, progress)
    if tag.startswith(OWN_PREFIX):
        build_image(places, tag, IMAGES["debian-12"], settings, progress)
