# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems like a fresh server's, made from Debian's packages."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import guest, kernel, processes
from lab.base import Progress, locked, private_directory, run
from lab.machine import Settings

DISK_BYTES = 8 * 1024**3  # sparse
BUILD_SECONDS = 900
PACKAGES = ("ca-certificates", "curl", "dbus", "iproute2", "procps", "python3", "sudo", "systemd-sysv")
# Of no use in a container. Debian's standard installation has python3-apt (by apt-listchanges); containers have not.
MACHINE_PACKAGES = ("kmod", "openssh-server", "python3-apt", "udev")
# Documentation costs a guest time at each package; a crash of a package installation costs a lab nothing.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/locale/*",
    "force-unsafe-io",
)
MASKED_UNITS = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service", "dpkg-db-backup.timer",
    "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "getty.target",
    "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service",
    "systemd-timesyncd.service",  # the clock is this machine's, and tests call nobody outside
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in a root file system.

    :ivar suite: Debian's name of the release, as ``bookworm``.
    :ivar files: absolute path -> content.
    :ivar kernel: release of the user-mode kernel whose modules go in; None for a container.
    """

    suite: str
    sources: tuple[str, ...]
    packages: tuple[str, ...]
    dpkg: tuple[str, ...]
    apt: tuple[str, ...]
    files: Mapping[str, str]
    masked: tuple[str, ...]
    kernel: str | None

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that differ when anything in the recipe differs."""
        return fingerprint({**self.__dict__, "files": dict(self.files)})


def fingerprint(value: object) -> str:
    """Return twelve hexadecimal digits that stand for a value JSON can write."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def recipe(suite: str, settings: Settings, kernel_release: str | None) -> Recipe:
    """Write down how to make the root file system of a Debian `suite` on this machine."""
    files = {f"/usr/local/share/ca-certificates/{name}": text for name, text in settings.certificates.items()}
    if settings.pip_conf:
        files["/etc/pip.conf"] = settings.pip_conf
    if kernel_release:
        files |= guest.FILES
    sources = (
        f"deb {settings.mirror} {suite} main",
        f"deb {settings.mirror} {suite}-updates main",
        f"deb {settings.security_mirror} {suite}-security main",
    )
    return Recipe(
        suite=suite,
        sources=sources,
        packages=(*PACKAGES, *MACHINE_PACKAGES) if kernel_release else PACKAGES,
        dpkg=DPKG_OPTIONS,
        apt=('Acquire::Languages "none";', 'APT::Install-Recommends "true";', *settings.apt),
        files=files,
        masked=MASKED_UNITS,
        kernel=kernel_release,
    )


def _place(root: Path, path: str, content: str) -> None:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)
    target.chmod(0o755 if content.startswith("#!") else 0o644)


def build_root(made_from: Recipe, root: Path) -> None:
    """Fill the empty directory `root`.

    :raises LabError: a package can't be had, or a tool failed.
    """
    run(
        [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--skip=cleanup/apt/lists",
            f"--include={','.join(made_from.packages)}",
            *(f"--dpkgopt={option}" for option in made_from.dpkg),
            *(f"--aptopt={option}" for option in made_from.apt),
            made_from.suite, str(root), *made_from.sources,
        ],
        timeout=BUILD_SECONDS,
    )  # fmt: skip
    for path, content in made_from.files.items():
        _place(root, path, content)
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("localhost\n")
    for unit in made_from.masked:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    if made_from.kernel:
        modules = kernel.modules_directory(made_from.kernel)
        shutil.copytree(modules, root / "lib/modules" / made_from.kernel, symlinks=True)
        wants = root / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / guest.UNIT).symlink_to(f"/etc/systemd/system/{guest.UNIT}")
    run(["chroot", str(root), "update-ca-certificates"], timeout=120)
    for marker in ("etc/.updated", "var/.updated"):  # else the first boot does an update's work again
        (root / marker).touch()
    os.utime(root / "usr", (0, 0))
    # A package cache made now spares every guest the parsing of Debian's package lists.
    run(["chroot", str(root), "apt-cache", "gencaches"], timeout=120)


def extract(suite: str, package: str, settings: Settings, root: Path) -> None:
    """Unpack a package of another Debian `suite`, with what it needs, into the absent directory `root`.

    :raises LabError: it can't be had.
    """
    options = [f"--include={package}", *(f"--aptopt={option}" for option in settings.apt)]
    source = f"deb {settings.mirror} {suite} main"
    run(["mmdebstrap", "--quiet", "--variant=extract", *options, suite, str(root), source], timeout=BUILD_SECONDS)


@contextlib.contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """Lend a directory for a build, with what crashed builds of `name` left behind removed."""
    for stale in parent.glob(f".build-{name}-*"):
        discard(stale)
    directory = Path(tempfile.mkdtemp(prefix=f".build-{name}-", dir=parent))
    try:
        yield directory
    finally:
        discard(directory)


def discard(directory: Path) -> None:
    """Remove a build directory, and what still works in it.

    What is mounted there is unmounted first, so that nothing outside is removed through it.
    """
    processes.kill(lambda: processes.below(directory))
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((path for path in mounts if path.startswith(f"{directory}/")), reverse=True):
        run(["umount", "--lazy", mount])
    shutil.rmtree(directory)


def ensure(name: str, made_from: Recipe, images: Path, in_use: Collection[str], progress: Progress) -> Path:
    """Return the disk image of `made_from`, building it where absent.

    :param name: the image's public name, as ``debian-12``.
    :param in_use: paths of images that disks of hosts are based on; other images of that name are pruned.
    """
    private_directory(images)
    target = images / f"{name}-{made_from.key}.img"
    with locked(images / f"{name}.lock", f"builds image {name}", progress):
        if target.exists():
            return target
        progress(f"build image {name} from Debian's packages (about 45 s)")
        with scratch(images, name) as directory:
            root, disk = directory / "root", directory / "disk.img"
            root.mkdir(mode=0o755)
            build_root(made_from, root)
            with disk.open("wb") as stream:
                stream.truncate(DISK_BYTES)
            run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "root", "-d", str(root), str(disk)], timeout=300)
            disk.chmod(0o600)  # a proxy's password may be inside
            os.sync()
            disk.rename(target)
        progress(f"image {name} is {target.stat().st_blocks * 512 // 1024**2} MB")
        for other in images.glob(f"{name}-*.img"):
            if other != target and str(other) not in in_use:
                other.unlink()
        return target
