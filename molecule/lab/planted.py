"""Where planted secrets have got to: each holds MARK, so that one look finds all."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from testinfra.host import Host

from lab.base import LabError

MARK = "PL4NTED"
#: Written by shared/watch_arguments.py.
ARGUMENTS = "/run/lab-arguments"
#: What may hold something that a run has left; packages and devices can't.
PLACES = ("/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var")
#: Reads the mark from its standard input, for its own arguments are looked at as well.
_GREP = f"printf %s%s {MARK[:3]} {MARK[3:]} | grep --fixed-strings --file=-"


def _demand(there: bool, what: str) -> None:
    """Raise LabError where a look would find nothing because there is nothing to look at."""
    if not there:
        raise LabError(f"there is not {what} to look for secrets in")


def in_files(paths: Iterable[Path]) -> list[str]:
    """Return the lines of files of this machine that hold a secret, directories with all below them."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return [line for file in files for line in file.read_text(errors="replace").splitlines() if MARK in line]


def in_journal(host: Host) -> list[str]:
    """Return what the journal has of them, of all boots and units."""
    sign = "lab-looks-for-secrets"
    # What was logged a moment ago may not be in it yet: a line of our own tells that it is.
    host.check_output(f"logger {sign} && journalctl --sync && journalctl --no-pager --output=export > /run/lab-journal")
    _demand(host.run(f"grep --quiet MESSAGE={sign} /run/lab-journal").rc == 0, "a journal that takes lines")
    return str(host.check_output(f"{_GREP} /run/lab-journal || true; rm /run/lab-journal")).splitlines()


def in_arguments(host: Host) -> list[str]:
    """Return what was among the arguments of processes since the host was prepared."""
    _demand(host.run("systemctl is-active lab-watch-arguments.service").rc == 0, "somebody who looks at arguments")
    return [line for line in str(host.check_output(f"cat {ARGUMENTS}")).splitlines() if line]


def on_disk(host: Host) -> dict[str, str]:
    """Return the files of a host that hold a secret, with mode, owner and group such as ``640 root:mlflow``."""
    options = "--recursive --files-with-matches --exclude-dir=venvs --devices=skip"
    # Files come and go while it looks.
    found = host.check_output(f"{_GREP} {options} {shlex.join(PLACES)} 2>/dev/null || true").splitlines()
    paths = [path for path in found if not path.startswith("/var/log/journal/")]
    return {path: str(host.check_output(f"stat --format='%a %U:%G' {shlex.quote(path)}")) for path in paths}


def of_controller(log: Path) -> list[Path]:
    """Return what Ansible wrote on this machine: its log, with all that it printed, and the cache of facts."""
    facts = Path(os.environ["ANSIBLE_CACHE_PLUGIN_CONNECTION"])
    _demand("TASK [selfhosted.mlflow" in log.read_text(errors="replace"), "a log of a run")
    _demand(any(facts.iterdir()), "facts that were kept")
    return [log, facts]
