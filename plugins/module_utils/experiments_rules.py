# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which wishes for experiments can't be right, whatever the server has.

The limits are MLflow's.  Releases before 3.17.2 look at tags when they are set and not when an experiment is made
with them, so that a key could be stored which no call can change.

Source: MLflow's mlflow/utils/validation.py and mlflow/store/tracking/dbmodels/models.py.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils import artifact_root, experiment_location
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

Given = Mapping[str, Any]
DEFAULT = "Default"
LONGEST_NAME = 500
LONGEST_KEY = 250
LONGEST_VALUE = 20000
_KEY = re.compile(r"[/\w.\- :]+")


def _absent(given: Given) -> bool:
    return given.get("state") == "absent"


def _of_name(name: object) -> Iterator[Problem]:
    if not isinstance(name, str) or not name.strip() or name != name.strip() or not name.isprintable():
        yield Problem(
            f"an experiment has the name {name!r}",
            "people and programs ask for it by its name, and some databases take blanks at the ends for nothing",
            "write a text in quotes, without blanks at the ends and line breaks",
        )
    elif len(name) > LONGEST_NAME:
        yield Problem(
            f"an experiment's name has {len(name)} characters: {name[:30]}…",
            f"MLflow takes {LONGEST_NAME}",
            "shorten it",
        )


def _of_key(name: str, key: object) -> Iterator[Problem]:
    found = f"the experiment {name!r} has the tag {key!r}"
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        yield Problem(found, "MLflow takes letters, digits and _ - . : / and blanks in the key of a tag", "mend it")
    elif posixpath.normpath(key) != key or key.startswith(("..", "/")) or key == ".":
        why = "MLflow takes no key that reads as another path, and some releases would store it for good"
        yield Problem(found, why, f"write {posixpath.normpath('/' + key).strip('/') or 'a name'}")
    elif len(key) > LONGEST_KEY:
        yield Problem(f"{found[:100]}…", f"it has {len(key)} characters, and MLflow takes {LONGEST_KEY}", "shorten it")


def _of_value(name: str, key: object, value: object) -> Iterator[Problem]:
    found = f"the tag {key!r} of the experiment {name!r}"
    if not isinstance(value, str):
        yield Problem(
            f"{found} is {value!r}",
            "MLflow keeps texts, and YAML may have made something else of what was written",
            "put it in quotes; from a template, add `| string`",
        )
    elif len(value) > LONGEST_VALUE:
        yield Problem(f"{found} has {len(value)} characters", f"MLflow takes {LONGEST_VALUE}", "shorten it")
    elif "\0" in value:
        yield Problem(f"{found} has a character 0", "databases don't take it in a text", "leave it out")


def _of_tags(name: str, tags: object) -> Iterator[Problem]:
    if not isinstance(tags, Mapping):
        yield Problem(
            f"tags of the experiment {name!r} are {tags!r}",
            "each tag has a key and a value",
            "write a dictionary, such as {team: risk}",
        )
        return
    for key, value in tags.items():
        yield from _of_key(name, key)
        yield from _of_value(name, key, value)


def _of_experiment(given: Given, shared: Sequence[str]) -> Iterator[Problem]:
    name = given.get("name")
    yield from _of_name(name)
    if _absent(given):
        if name == DEFAULT:
            yield Problem(
                f"the experiment {DEFAULT!r} is to be absent",
                "clients that name no experiment log into it, and would fail",
                "leave it; who may write to it is said with mlflow_accounts_permissions",
            )
        return
    location = given.get("artifact_location") or ""
    problem = experiment_location.problem(f"the experiment {name!r}", str(location), shared) if location else None
    if problem:
        yield problem
    yield from _of_tags(str(name), given.get("tags") or {})


def _twice(experiments: Sequence[Given]) -> Iterator[Problem]:
    names = Counter(str(one.get("name")) for one in experiments)
    for name, count in names.items():
        if count > 1:
            yield Problem(
                f"the experiment {name!r} is there {count} times", "one wish would undo the other", "leave one"
            )
    places: dict[str, list[str]] = {}
    for one in experiments:
        if one.get("artifact_location") and not _absent(one):
            places.setdefault(str(one["artifact_location"]), []).append(str(one.get("name")))
    for place, members in places.items():
        if len(set(members)) > 1:
            yield Problem(
                f"the experiments {', '.join(map(repr, members))} have the same artifact_location {place!r}",
                "nobody could tell by the place whose artifacts they are",
                "give each a place of its own",
            )


def judge(experiments: Sequence[Any], shared: Sequence[str]) -> list[Problem]:
    """Return everything that is wrong; ``shared`` are the directories that server and clients see at the same path."""
    problems = [
        problem
        for directory in shared
        for problem in [artifact_root.path_problem("a directory in mlflow_experiments_shared_directories", directory)]
        if problem
    ]
    wished = [one for one in experiments if isinstance(one, Mapping)]
    problems += [
        Problem(f"an experiment is {one!r}", "it has to have a name at least", "write {name: churn}")
        for one in experiments
        if not isinstance(one, Mapping)
    ]
    problems += [problem for one in wished for problem in _of_experiment(one, shared)]
    return [*problems, *_twice(wished)]
