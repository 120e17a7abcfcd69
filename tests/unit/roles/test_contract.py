"""What all roles promise: the same rooms, documented inputs, no surprises.

Every test runs for each role, so that a new role is held to it on its first day.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ansible_collections.selfhosted.mlflow.plugins.plugin_utils.inputs import COLLECTION_VARIABLES
from tests.unit.roles.role_files import IMPORTS, ROLES, Role, all_roles, flatten, names_read

ROOMS = (
    "README.md",
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/main.yml",
    "tasks/main.yml",
    "tasks/preflight.yml",
)
PYTHON_TYPES = {
    "str": str,
    "path": str,
    "raw": object,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "dict": dict,
}
#: Set by playbooks/preflight.yml after it ran every role's preflight.
SITE_VARIABLES = {"__mlflow_site_preflight_done"}
TABLE_OF_CONTENTS = {*IMPORTS, "ansible.builtin.meta"}
KEYWORDS = {"name", "when", "vars", "tags"}
FALLBACK = re.compile(r"""\{\{\s*(mlflow_\w+)\s*\|\s*default\(\s*('[^']*'|"[^"]*"|[\w.]+)\s*\)\s*\}\}""")


@pytest.fixture(params=all_roles(), ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Role:
    found = request.param
    assert isinstance(found, Role)
    return found


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def entry_points(role: Role) -> set[str]:
    """Return the files of tasks that playbooks include."""
    plays = [play for path in (ROLES.parent / "playbooks").glob("*.yml") for play in yaml.safe_load(path.read_text())]
    included = [
        task.get("ansible.builtin.include_role", {}) for play in plays for task in flatten(play.get("tasks", []))
    ]
    named = [found for found in included if found.get("name") == f"selfhosted.mlflow.{role.name}"]
    return {f"{found['tasks_from']}.yml" for found in named if "tasks_from" in found}


def description(option: dict[str, Any]) -> str:
    text = option.get("description", "")
    return " ".join(map(str, text)) if isinstance(text, list) else str(text)


def test_has_the_rooms_of_the_house(role: Role) -> None:
    assert [room for room in ROOMS if not (role.path / room).is_file()] == []


def test_inputs_have_defaults_and_documentation(role: Role) -> None:
    """An input that is always asked for is in the documentation as required, without a default."""
    optional = {name for name, option in role.options.items() if not option.get("required")}
    assert set(role.defaults) == optional


def test_inputs_start_with_the_name_of_the_role(role: Role) -> None:
    assert [name for name in role.options if not name.startswith(f"{role.name}_")] == []


def test_inputs_have_type_and_meaning(role: Role) -> None:
    lacking = [
        name
        for name, option in role.options.items()
        if option.get("type") not in PYTHON_TYPES
        or not description(option).strip()
        or (option["type"] == "list" and "elements" not in option)
    ]
    assert lacking == []


def test_documented_defaults_are_the_real_ones(role: Role) -> None:
    literals = {name: value for name, value in role.defaults.items() if not is_template(value)}
    documented = {name: role.options.get(name, {}).get("default") for name in literals}
    # True == 1 in Python, but not to a reader.
    assert {k: (type(v), v) for k, v in documented.items()} == {k: (type(v), v) for k, v in literals.items()}


def test_default_values_are_of_the_documented_type(role: Role) -> None:
    wrong = {}
    for name, value in role.defaults.items():
        option = role.options.get(name)
        if option is None or is_template(value):
            continue
        wanted = PYTHON_TYPES[option["type"]]
        # To Python a bool is an int.
        fits = isinstance(value, wanted) and isinstance(value, bool) <= (wanted is bool)
        chosen = value if isinstance(value, list) else [value]
        if not fits or any(one not in option.get("choices", chosen) for one in chosen):
            wrong[name] = value
    assert wrong == {}


def test_computed_defaults_are_explained(role: Role) -> None:
    """A template can't be shown as a default: a sentence "Default is …" names what it reads and the fallback."""
    unexplained = {}
    for name, value in role.defaults.items():
        if not is_template(value):
            continue
        option = role.options.get(name, {})
        text = description(option)
        wanted = {"Default is", *(read for read in names_read(value) if not read.startswith("__"))}
        wanted |= {fallback.strip("'\"") for _variable, fallback in FALLBACK.findall(value)}
        missing = {word for word in wanted if word not in text}
        if missing or "default" in option:
            unexplained[name] = missing or "a default that is not the real one"
    assert unexplained == {}


def test_defaults_read_only_collection_variables(role: Role) -> None:
    read = {name for value in role.defaults.values() if is_template(value) for name in names_read(value)}
    foreign = {name for name in read - COLLECTION_VARIABLES - set(role.options) if not name.startswith("__")}
    assert foreign == set()


def test_collection_variables_are_read_in_defaults_only(role: Role) -> None:
    """Nor does a role read the inputs of another one."""
    own = {name for name in role.read_outside_defaults if not name.startswith("__")}
    local = {
        name
        for _file, task in role.tasks()
        for name in (task.get("register"), *task.get("vars", {}), *task.get("ansible.builtin.set_fact", {}))
    }
    assert own - set(role.options) - local == set()


def test_internals_are_named_after_the_role(role: Role) -> None:
    internal = {name for name in role.read_outside_defaults if name.startswith("__")}
    assert {name for name in internal - SITE_VARIABLES if not name.startswith(f"__{role.name}_")} == set()


def test_every_input_is_read(role: Role) -> None:
    in_defaults = {name for value in role.defaults.values() if is_template(value) for name in names_read(value)}
    assert set(role.options) - role.read_outside_defaults - in_defaults == set()


def test_readme_names_every_input(role: Role) -> None:
    readme = role.path / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    assert [name for name in role.options if not re.search(rf"\b{name}\b", text)] == []


def test_main_is_a_table_of_contents(role: Role) -> None:
    """Gathering missing facts comes first where the phases, preflight among them, need some."""
    phases = list(role.yaml("tasks", "main.yml"))
    if "ansible.builtin.setup" in phases[0] or phases[0].get("ansible.builtin.import_tasks") == "facts.yml":
        del phases[0]
    assert [task for task in phases if set(task) - KEYWORDS - TABLE_OF_CONTENTS] == []
    # A skipped import would overwrite what the site's preflight has registered.
    registers = any("register" in task for task in role.yaml("tasks", "preflight.yml"))
    ways = {"ansible.builtin.include_tasks"} | (set() if registers else {"ansible.builtin.import_tasks"})
    assert [phases[0][way] for way in ways & set(phases[0])] == ["preflight.yml"]
    assert phases[0].get("when") == "not (__mlflow_site_preflight_done | default(false))"


def test_every_file_of_tasks_is_used(role: Role) -> None:
    """By another one, or by a playbook."""
    there = {str(file.relative_to(role.path / "tasks")) for file in role.files("tasks")}
    assert there - {"main.yml"} == role.imported_files | entry_points(role)


def test_preflight_begins_with_the_unknown_inputs(role: Role) -> None:
    first = role.yaml("tasks", "preflight.yml")[0]
    ((found, query),) = first["vars"].items()
    assert found.startswith(f"__{role.name}_")
    assert query.startswith("{{ query('selfhosted.mlflow.unknown_inputs', role_path)")
    assert first["ansible.builtin.assert"]["that"] == f"{found} | length == 0"
    assert found in first["ansible.builtin.assert"]["fail_msg"]
    assert "when" not in first


def test_no_task_runs_a_shell(role: Role) -> None:
    shells = {"ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.script", "shell", "raw", "script"}
    tasks = [*role.tasks(), *role.tasks("handlers")]
    assert [task.get("name") for _file, task in tasks if shells & set(task)] == []


def test_commands_say_when_they_change_something(role: Role) -> None:
    commands = {"ansible.builtin.command", "command"}
    tasks = [*role.tasks(), *role.tasks("handlers")]
    assert [t.get("name") for _file, t in tasks if commands & set(t) and "changed_when" not in t] == []


def test_tasks_are_named_after_their_phase(role: Role) -> None:
    """`Install | Create the virtual environment`."""
    named = re.compile(r"[A-Z][\w ]*\w \| [A-Z]")
    wrong = [
        (file.name, task.get("name"))
        for file, task in role.tasks()
        if file.name != "main.yml" and not named.match(task.get("name", ""))
    ]
    assert wrong == []


def test_handlers_are_those_notified(role: Role) -> None:
    notified: set[str] = set()
    for _file, task in [*role.tasks(), *role.tasks("handlers")]:
        wanted = task.get("notify", [])
        notified |= {wanted} if isinstance(wanted, str) else set(wanted)
    handlers = [(task.get("name"), task.get("listen")) for _file, task in role.tasks("handlers")]
    answered = {name for pair in handlers for name in pair if name}
    assert notified - answered == set()
    assert [name for name, listen in handlers if not {name, listen} & notified] == []


def test_services_are_restarted_by_handlers_only(role: Role) -> None:
    services = ("ansible.builtin.systemd_service", "ansible.builtin.service")
    states = [task[key].get("state") for _file, task in role.tasks() for key in services if key in task]
    assert [state for state in states if state in ("restarted", "reloaded")] == []


def test_templates_say_who_manages_the_file(role: Role) -> None:
    """A script's interpreter has to come before that."""
    unmarked = []
    for path in role.templates:
        lines = path.read_text(encoding="utf-8").splitlines()
        first = lines[1] if lines and lines[0].startswith("#!") else (lines or [""])[0]
        if not first.startswith("{{ ansible_managed | comment"):
            unmarked.append(path.name)
    assert unmarked == []


def test_templates_hold_no_dates(role: Role) -> None:
    """A date would change the file on every run."""
    dated = re.compile(r"\bnow\(|ansible_date_time|strftime|date_time")
    assert [path.name for path in role.templates if dated.search(path.read_text(encoding="utf-8"))] == []


def test_collection_variables_have_one_fallback_each() -> None:
    fallbacks: dict[str, set[str]] = {}
    for role in all_roles():
        for value in role.defaults.values():
            for variable, fallback in FALLBACK.findall(value) if is_template(value) else ():
                fallbacks.setdefault(variable, set()).add(fallback.strip("'\""))
    assert {variable: found for variable, found in fallbacks.items() if len(found) > 1} == {}


def test_all_files_of_a_program_are_installed(role: Role) -> None:
    """A program of several files is listed by file, for one request brings them all."""
    files = ROLES / role.name / "files"
    packages = [path.parent for path in files.glob("*/__main__.py")]
    listed = (ROLES / role.name / "vars/main.yml").read_text(encoding="utf-8") if packages else ""
    for path in (path for package in packages for path in package.rglob("*.py")):
        assert f"- {path.relative_to(files)}\n" in listed
