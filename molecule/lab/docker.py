# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker: an engine where none answers, and an image with systemd where there is no registry."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import image, machine, processes
from lab.base import LabError, Places, Progress, locked, private_directory, run
from lab.spec import IMAGES

ENGINE_SECONDS = 60
ADDITION_SECONDS = 600
OWN_PREFIX = "selfhosted-mlflow/"  # images of other names are the user's
#: The images with systemd: name -> suite of Debian.
SUITES: Mapping[str, str] = {name.replace("-", ":"): suite for name, suite in IMAGES.items()}
BASE = f"{OWN_PREFIX}debian:12"
_INSTALL = "RUN apt-get -q update && apt-get -q -y --no-install-recommends install {} && rm -r /var/lib/apt/lists/*"
#: Images in the place of those that a registry would have: name -> what is added to BASE.
ADDITIONS: Mapping[str, Sequence[str]] = {
    "python:3.11": [_INSTALL.format("python3-venv")],
    # Understands what Docker Hub's understands, as far as examples/compose uses it.
    "postgresql:15": [
        _INSTALL.format("postgresql-15"),
        "COPY postgresql /usr/local/bin/",
        "ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin",
        'ENTRYPOINT ["/bin/sh", "/usr/local/bin/postgresql"]',
        "CMD []",
    ],
    "registry:2": [
        _INSTALL.format("docker-registry"),
        # Debian's own configuration asks for a password.
        "COPY registry.yml /etc/docker/registry/config.yml",
        'CMD ["docker-registry", "serve", "/etc/docker/registry/config.yml"]',
    ],
}
_POSTGRESQL = """set -eu
data=/var/lib/postgresql/data
as_postgres="setpriv --reuid=postgres --regid=postgres --clear-groups"
install -d -o postgres -g postgres -m 0700 "$data"
chown postgres:postgres /run/postgresql
if [ ! -e "$data/PG_VERSION" ]; then
  cat "$POSTGRES_PASSWORD_FILE" > /tmp/password
  chown postgres /tmp/password
  $as_postgres initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \\
    --encoding=UTF8 --locale=C.UTF-8
  rm /tmp/password
  echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
  echo "CREATE DATABASE $POSTGRES_DB" | $as_postgres postgres --single -D "$data" postgres
fi
exec $as_postgres postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
"""
_REGISTRY = """version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: ':5000'}
"""
FILES: Mapping[str, str] = {"postgresql": _POSTGRESQL, "registry.yml": _REGISTRY}
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


def build_addition(places: Places, name: str, progress: Progress) -> None:
    """Make one of `ADDITIONS` on top of `BASE`, unless it is that already."""
    tag = OWN_PREFIX + name
    base = run(["docker", "image", "inspect", "--format", "{{.Id}}", BASE]).stdout.strip()
    lines = [f"FROM {BASE}", *ADDITIONS[name]]
    key = image.fingerprint([base, lines, dict(FILES)])
    with locked(places.images / "docker-additions.lock", f"builds {tag}", progress):
        label = f'{{{{index .Config.Labels "{_LABEL}"}}}}'
        if run(["docker", "image", "inspect", "--format", label, tag], check=False).stdout.strip() == key:
            return
        progress(f"build Docker image {tag} from Debian's packages (about 20 s)")
        with image.scratch(places.images, "docker-additions") as directory:
            for file, text in {**FILES, "Dockerfile": "\n".join([*lines, f"LABEL {_LABEL}={key}", ""])}.items():
                (directory / file).write_text(text)
            run(["docker", "build", "--quiet", "--tag", tag, str(directory)], timeout=ADDITION_SECONDS)
        run(["docker", "image", "prune", "--force", "--filter", f"label={_LABEL}"], check=False, timeout=120)


def compose(places: Places, settings: machine.Settings, progress: Progress) -> list[str]:
    """Return how to call Docker Compose 2, fetched from Debian 13 where Docker has none (Debian 12's is the first)."""
    if not run(["docker", "compose", "version"], check=False).returncode:
        return ["docker", "compose"]
    program = places.images / "docker-compose"
    with locked(places.images / "docker-compose.lock", "fetches Docker Compose", progress):
        if not program.exists():
            progress("fetch Docker Compose from Debian 13")
            with image.scratch(places.images, "docker-compose") as directory:
                root = directory / "root"
                image.extract("trixie", "docker-compose", settings, root)
                shutil.copy(root / "usr/libexec/docker/cli-plugins/docker-compose", directory / "program")
                (directory / "program").rename(program)
    return [str(program)]


def make_ready(places: Places, tags: Sequence[str], settings: machine.Settings, progress: Progress) -> None:
    """Have an engine that answers, and those of the images that are ours."""
    start_engine(places, progress)
    for tag in (tag for tag in tags if tag.startswith(OWN_PREFIX)):
        name = tag.removeprefix(OWN_PREFIX)
        if name in ADDITIONS:
            build_image(places, BASE, SUITES[BASE.removeprefix(OWN_PREFIX)], settings, progress)
            build_addition(places, name, progress)
        elif name in SUITES:
            build_image(places, tag, SUITES[name], settings, progress)
        else:
            raise LabError(f"no image {tag!r} is made here; known are {', '.join([*SUITES, *ADDITIONS])}")
