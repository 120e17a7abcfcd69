# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian packages a lab needs on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import kernel
from lab.base import LabError, Places, Progress, locked, run

INSTALL_SECONDS = 900
_BUILD: Mapping[str, str] = {
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
}
# group -> package -> the command or file that shows it is there
GROUPS: Mapping[str, Mapping[str, str]] = {
    "uml": {
        **_BUILD,
        "e2fsprogs": "mke2fs",
        "iproute2": "ip",
        "openssh-client": "ssh",
        "uml-utilities": "uml_switch",
        "user-mode-linux": "linux.uml",
    },
    "browser": {"chromium": "chromium", "chromium-driver": "chromedriver", "libnss3-tools": "certutil"},
    "backups": {"rclone": "rclone", "restic": "restic", "rsync": "rsync"},
    "databases": {"mariadb-server": "mariadbd", "openssl": "openssl", "postgresql": "pg_createcluster"},
    "firewall": {"iproute2": "ip", "nftables": "/usr/sbin/nft"},
    "proxies": {"caddy": "caddy", "nginx": "nginx", "openssl": "openssl"},
    "docker": {**_BUILD, "docker.io": "dockerd"},
}


def _is_there(evidence: str) -> bool:
    if evidence.startswith("/"):
        return Path(evidence).exists()
    return shutil.which(evidence) is not None


def missing(group: str, is_there: Callable[[str], bool] = _is_there, compiler_wanted: bool = False) -> list[str]:
    """Return the packages of a group that are not installed.

    :param compiler_wanted: this processor's user-mode Linux needs a C compiler, and there is none.
    :raises LabError: there is no such group.
    """
    if group not in GROUPS:
        raise LabError(f"no group {group!r}; known are {', '.join(GROUPS)}")
    packages = [package for package, evidence in GROUPS[group].items() if not is_there(evidence)]
    if group == "uml" and compiler_wanted:
        packages.append("tcc")  # 0.3 MB; any C compiler will do
    return packages


def refusal(packages: Sequence[str], has_apt: bool, is_root: bool, without_candidate: Sequence[str]) -> str | None:
    """Return why `packages` can't be installed here and what to do instead; None when they can."""
    names = " ".join(packages)
    if not has_apt:
        return f"missing: {names}. There is no apt-get here: install what provides them, under your system's names"
    if "user-mode-linux" in without_candidate:
        return "user-mode-linux is not packaged for this system: use LAB=docker, or a Debian 12 or 13 machine"
    if without_candidate:
        return f"apt knows no {' '.join(without_candidate)}: add Debian's `main` to the package sources"
    if not is_root:
        return f"missing: {names}. As root: apt-get install --no-install-recommends {names}"
    return None


def unavailable(policy: str, packages: Sequence[str]) -> list[str]:
    """Return those of `packages` that apt can't install.

    :param policy: what ``apt-cache policy`` says of them.
    """
    candidates: dict[str, str] = {}
    name = ""
    for line in policy.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            name = line[:-1]
        elif line.strip().startswith("Candidate:"):
            candidates[name] = line.split(":", 1)[1].strip()
    return [package for package in packages if candidates.get(package, "(none)") == "(none)"]


def _unavailable(packages: Sequence[str]) -> list[str]:
    return unavailable(run(["apt-cache", "policy", *packages], check=False).stdout, packages)


def require(places: Places, group: str, progress: Progress) -> None:
    """Install what is missing of a group.

    :raises LabError: that can't be done here; the message says what to do.
    """
    # Labs that start side by side would meet at apt's own lock, which it doesn't wait for.
    with apt(places, progress):
        wants_compiler = group == "uml" and kernel.processor_is_wide() and not kernel.compiler()
        packages = missing(group, compiler_wanted=wants_compiler)
        if packages:
            _install(packages, progress)


def apt(places: Places, progress: Progress | None = None) -> contextlib.AbstractContextManager[None]:
    """Hold what labs hold while they use apt."""
    return locked(places.state / "locks" / ".apt", "installs packages", progress)


def _install(packages: Sequence[str], progress: Progress) -> None:
    has_apt, is_root = shutil.which("apt-get") is not None, os.geteuid() == 0
    without_candidate = _unavailable(packages) if has_apt else []
    if without_candidate and is_root:
        progress("fetch the package lists")
        run(["apt-get", "-q", "update"], timeout=INSTALL_SECONDS)
        without_candidate = _unavailable(packages)
    problem = refusal(packages, has_apt, is_root, without_candidate)
    if problem:
        raise LabError(problem)
    progress(f"install {' '.join(packages)}")
    install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    if run([*environment, *install], check=False, timeout=INSTALL_SECONDS).returncode:
        run(["apt-get", "-q", "update"], timeout=INSTALL_SECONDS)  # lists that are too old name files that are gone
        run([*environment, *install], timeout=INSTALL_SECONDS)
