# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which columns of MLflow's database hold artifact locations, and which hold people's own words.

Found by writing everything with the releases 2.22.5, 3.1.4 and 3.17.2 and searching every text column of every table
for the root: ``tests/integration/moves`` does so again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of locations; ``keys`` are those of the table's column ``key`` whose values are, empty for all."""

    table: str
    name: str
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"


#: mlflow.tracing.constant.TraceTagKey: where the spans of a trace are.
_TRACE_KEYS = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")

LOCATIONS = (
    Column("experiments", "artifact_location"),
    Column("runs", "artifact_uri"),
    Column("logged_models", "artifact_location"),
    Column("model_versions", "source"),
    Column("model_versions", "storage_location"),
    Column("trace_tags", "value", _TRACE_KEYS),
    Column("trace_request_metadata", "value", _TRACE_KEYS),
    # mlflow.store.workspace.dbmodels, since workspaces are there.
    Column("workspaces", "default_artifact_root"),
    Column("workspaces", "trace_archival_location"),
)

#: Names of columns that sound like a location, which a release to come may have more of.
SOUNDS_LIKE_LOCATION = re.compile(r"location|uri|url|root|path|source|artifact", re.IGNORECASE)
#: Those that hold what people, or a program for them, wrote of their own files.
WORDS = frozenset(("datasets.dataset_source", "runs.source_name", "evaluation_dataset_records.source"))
