"""What roles install, the role that uninstalls knows."""

from __future__ import annotations

import re

import pytest

from tests.unit.roles.role_files import ROLES, all_roles

INSTALLED = re.compile(r"/usr/local/libexec/mlflow[\w-]*|/etc/mlflow-[\w.-]+|/var/(?:cache|lib)/mlflow-[\w-]+")
UNIT = re.compile(r"mlflow-[\w-]+\.(?:service|timer)(?=\.j2$)")
REMOVED = (ROLES / "mlflow_uninstall/vars/main.yml").read_text(encoding="utf-8")
FILES = [
    (role.name, path)
    for role in all_roles()
    for room in ("vars", "tasks", "templates")
    for path in (ROLES / role.name / room).glob("*")
]


@pytest.mark.parametrize(
    ("role", "installed"),
    sorted(
        {(role, found) for role, path in FILES for found in INSTALLED.findall(path.read_text(encoding="utf-8"))}
        | {(role, found) for role, path in FILES for found in UNIT.findall(path.name)}
    ),
)
def test_what_is_installed_is_removed(role: str, installed: str) -> None:
    assert re.search(rf"{re.escape(installed)}(?![\w-])", REMOVED), f"{role} installs it"
