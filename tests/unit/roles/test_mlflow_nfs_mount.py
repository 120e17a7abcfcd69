"""The units that the role writes, and the module that knows them again."""

from __future__ import annotations

import jinja2
import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_mount, nfs_options
from tests.unit.roles.role_files import Role, all_roles

(ROLE,) = (role for role in all_roles() if role.name == "mlflow_nfs_mount")


def rendered(role: Role, template: str, **inputs: object) -> dict[str, str]:
    """Return the settings of a rendered unit; of repeated ones the last."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    environment.filters["comment"] = lambda text: f"# {text}"
    text = role.path.joinpath("templates", template).read_text(encoding="utf-8")
    values = {**role.defaults, "mlflow_nfs_mount_source": "nas:/a", "mlflow_nfs_mount_path": "/srv/a", **inputs}
    unit = environment.from_string(text).render(ansible_managed="managed", **values)
    lines = (line.partition("=") for line in unit.splitlines() if not line.startswith("#"))
    return {key: value for key, equals, value in lines if equals}


@pytest.mark.parametrize("template", ["mount.j2", "automount.j2"])
def test_the_module_recognises_the_roles_units(template: str) -> None:
    key, _equals, value = nfs_mount.MARKER.partition("=")
    assert rendered(ROLE, template)[key] == value


def test_the_unit_mounts_what_was_asked_and_keeps_trying() -> None:
    unit = rendered(ROLE, "mount.j2", mlflow_nfs_mount_unit_timeout=90)
    assert (unit["What"], unit["Where"], unit["TimeoutSec"]) == ("nas:/a", "/srv/a", "90")
    options = nfs_options.parse(unit["Options"])
    assert {"nofail", "retry=2", "_netdev", "hard"} <= set(options)
    assert unit["WantedBy"] == "multi-user.target"


def test_an_automounted_unit_is_not_started_at_boot_as_well() -> None:
    assert "WantedBy" not in rendered(ROLE, "mount.j2", mlflow_nfs_mount_automount=True)


def test_percent_signs_are_no_specifiers() -> None:
    unit = rendered(ROLE, "mount.j2", mlflow_nfs_mount_path="/srv/a%i")
    assert unit["Where"] == "/srv/a%%i"


def test_the_default_options_are_accepted() -> None:
    wish = nfs_mount.Wish("/srv/mlflow/artifacts", "nas:/a", str(ROLE.defaults["mlflow_nfs_mount_options"]))
    assert nfs_mount.check_wish(wish) == []
