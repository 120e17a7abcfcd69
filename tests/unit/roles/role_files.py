"""A role as its files say it, for the tests of what all roles have in common."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import nodes

from tools import stage

ROLES = stage.REPOSITORY / "roles"
#: Keywords whose text is an expression without braces.
EXPRESSIONS = frozenset(("when", "that", "until", "changed_when", "failed_when"))
IMPORTS = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
BLOCKS = ("block", "rescue", "always")

_JINJA = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
_OWN = re.compile(r"(__)?mlflow_\w+")

Task = dict[str, Any]


def names_read(template: str) -> set[str]:
    """Return the names of ours that a Jinja template reads, not those its text mentions."""
    with warnings.catch_warnings():
        # Jinja complains of regular expressions in strings, whose backslashes Ansible doubles first.
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = _JINJA.parse(template)
    read = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
    return {name for name in read if _OWN.fullmatch(name)}


def strings(value: Any, keyword: str = "") -> Iterator[str]:
    """Yield every string in parsed YAML as the template it is to Ansible."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, keyword)
    elif isinstance(value, str):
        yield f"{{{{ {value} }}}}" if keyword in EXPRESSIONS else value


def flatten(tasks: list[Task]) -> Iterator[Task]:
    """Yield the tasks of a list, and those inside of blocks."""
    for task in tasks:
        if any(key in task for key in BLOCKS):
            for key in BLOCKS:
                yield from flatten(task.get(key, []))
        else:
            yield task


@dataclass(frozen=True)
class Role:
    """One directory of roles/."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def yaml(self, *parts: str) -> Any:
        """Return the parsed file, or an empty dict when there is none."""
        file = self.path.joinpath(*parts)
        return yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.is_file() else {}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        return dict(self.yaml("defaults", "main.yml"))

    @cached_property
    def options(self) -> dict[str, dict[str, Any]]:
        specs = self.yaml("meta", "argument_specs.yml").get("argument_specs", {})
        return dict(specs.get("main", {}).get("options", {}))

    def files(self, room: str, pattern: str = "*.yml") -> list[Path]:
        return sorted(self.path.joinpath(room).rglob(pattern))

    def tasks(self, room: str = "tasks") -> list[tuple[Path, Task]]:
        """Return every task of a room with the file it stands in."""
        return [
            (file, task)
            for file in self.files(room)
            for task in flatten(yaml.safe_load(file.read_text(encoding="utf-8")) or [])
        ]

    @property
    def imported_files(self) -> set[str]:
        """The names of the task files that other task files and handlers import or include."""
        tasks = [*self.tasks(), *self.tasks("handlers")]
        found = (task[key] for _file, task in tasks for key in IMPORTS if key in task)
        return {value["file"] if isinstance(value, dict) else value for value in found}

    @property
    def templates(self) -> list[Path]:
        return [path for path in self.files("templates", "*") if path.is_file()]

    @cached_property
    def read_outside_defaults(self) -> set[str]:
        """The names of ours that tasks, handlers, vars and templates read."""
        texts = [path.read_text(encoding="utf-8") for path in self.templates]
        for room in ("tasks", "handlers", "vars"):
            for path in self.files(room):
                texts += strings(yaml.safe_load(path.read_text(encoding="utf-8")))
        return {name for text in texts for name in names_read(text)}


def all_roles() -> list[Role]:
    """Return the collection's roles in the order of their names."""
    return [Role(path) for path in sorted(ROLES.iterdir()) if path.is_dir()]
