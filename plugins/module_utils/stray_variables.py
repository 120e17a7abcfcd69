# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of artifact stores that somebody else has set on a client.

Source: MLflow's "Artifact stores" (a client whose MLFLOW_S3_ENDPOINT_URL is not the server's writes to another place).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_store
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: What sets variables for everybody: pam_env(8), login shells, environment.d(5), shells of Debian's and Red Hat's.
FILES = (
    "/etc/environment",
    "/etc/profile",
    "/etc/profile.d/*.sh",
    "/etc/environment.d/*.conf",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/default/mlflow*",
)
#: Written by the role mlflow_client.
OURS = (
    "/etc/environment.d/60-mlflow.conf",
    "/etc/environment.d/61-mlflow-artifact-store.conf",
    "/etc/profile.d/mlflow.sh",
)
_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_KNOWN = frozenset(
    (*(name for variables in artifact_store.VARIABLES.values() for name in variables), *artifact_store.CLIENT_VARIABLES)
)


def problems(texts: Mapping[str, str], told: Collection[str]) -> Iterator[Problem]:
    """Yield what files, whose texts come by path, say of stores; ``told`` are the names that the role writes itself."""
    for path, text in texts.items():
        for name in sorted(_KNOWN.intersection(_ASSIGNMENT.findall(text))):
            why = (
                "it may stand against what the role mlflow_client writes"
                if name in told
                else "MLflow's client reads it, and would reach the store otherwise than the server does"
            )
            yield Problem(
                f"{path} sets {name}",
                why,
                "remove it there, unless it is for another program; the role leaves it alone",
            )
