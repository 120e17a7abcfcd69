# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MLflow's accounts and permissions by its REST API, of releases before and since roles came to it.

Since then (3.17.2) a permission is a row of the role that each user has alone, and all users can be listed.  Before
(2.22.5, 3.1.4) each kind of thing has its own calls, and only a user whose name is known can be looked at.
Every method raises tracking_errors.ApiError.

Source: MLflow's mlflow/server/auth/routes.py, __init__.py and permissions.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import accounts_plan as plans
from ansible_collections.selfhosted.mlflow.plugins.module_utils.accounts_plan import Present, Step, Thing, User
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_api import TrackingApi
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import ApiError

EVERYTHING = "*"
_UNKNOWN = "RESOURCE_DOES_NOT_EXIST"
_USERS = "api/2.0/mlflow/users"
_PERMISSIONS = "api/3.0/mlflow/users/permissions"
#: Of the older calls: where they are, what names a thing, and the list in a user's answer.
_OLD = {
    plans.EXPERIMENT: ("api/2.0/mlflow/experiments/permissions", "experiment_id", "experiment_permissions"),
    plans.MODEL: ("api/2.0/mlflow/registered-models/permissions", "name", "registered_model_permissions"),
}


def _failed(message: str, remedy: str) -> ApiError:
    return ApiError("api_failed", "accounts", message, remedy)


@dataclass(frozen=True)
class Accounts:
    """The accounts of one server; ``roles`` says that it is of the releases with roles."""

    api: TrackingApi
    roles: bool

    @classmethod
    def of(cls, api: TrackingApi, asking: str) -> Accounts:
        """Find out what kind of server it is; ``asking`` is the account that asks, '' where that isn't known."""
        try:
            api.get(f"{_USERS}/list")
        except ApiError as error:
            if error.reason != "not_found":
                raise
        else:
            return cls(api, roles=True)
        try:
            api.get(f"{_USERS}/get", {"username": asking})
        except ApiError as error:
            if error.reason != "not_found":
                raise
            raise _failed(
                f"{api.base} has no accounts: it knows none of the calls for them",
                "turn them on with mlflow_server_basic_auth: true; if it has, check the static prefix of the address",
            ) from None
        return cls(api, roles=False)

    def permission(self, wished: str) -> str:
        """Return a permission by the name that the server has for it."""
        if self.roles:
            return "DENY" if wished == "NO_PERMISSIONS" else wished
        if wished == "USE":
            raise _failed(
                "the permission USE is unknown to this server",
                "write READ or EDIT, or upgrade it to a release with roles, such as 3.17.2",
            )
        return "NO_PERMISSIONS" if wished == "DENY" else wished

    def thing(self, kind: str, name: str) -> Optional[Thing]:
        """Return what has that name, None for nothing."""
        if name == EVERYTHING:
            if not self.roles:
                raise _failed(
                    f"a permission on every {kind} is unknown to this server",
                    "set mlflow_server_default_permission, or upgrade it to a release with roles, such as 3.17.2",
                )
            return Thing(kind, name)
        try:
            if kind == plans.MODEL:
                self.api.get("api/2.0/mlflow/registered-models/get", {"name": name})
                return Thing(kind, name)
            found = self.api.get("api/2.0/mlflow/experiments/get-by-name", {"experiment_name": name})
            return Thing(kind, str(found["experiment"]["experiment_id"]))
        except ApiError as error:
            if error.code != _UNKNOWN:
                raise
            return None

    def present(self, names: Iterable[str], with_grants: Iterable[str]) -> Present:
        """Return what there is: of the users ``names`` (with roles, of all), and the permissions of some."""
        if self.roles:
            listed = self.api.get(f"{_USERS}/list")["users"]
            admins = {str(user["username"]): bool(user["is_admin"]) for user in listed}
            own = {str(user["username"]): f"__user_{user['id']}__" for user in listed}
            grants = {
                (name, Thing(row["resource_type"], str(row["resource_pattern"]))): str(row["permission"])
                for name in sorted(set(with_grants) & set(admins))
                for row in self.api.get(f"{_PERMISSIONS}/list", {"username": name})["permissions"]
                if row["role_name"] == own[name] and row["resource_type"] in plans.KINDS
            }
            return Present(admins, grants)
        found = {name: self._user(name) for name in {*names, *with_grants}}
        known = {name: user for name, user in found.items() if user}
        return Present(
            {name: bool(user["is_admin"]) for name, user in known.items()},
            {
                (name, Thing(kind, str(row[key]))): str(row["permission"])
                for name, user in known.items()
                for kind, (_path, key, listed) in _OLD.items()
                for row in user[listed]
            },
        )

    def _user(self, name: str) -> dict[str, Any]:
        try:
            user: dict[str, Any] = self.api.get(f"{_USERS}/get", {"username": name})["user"]
        except ApiError as error:
            if error.code != _UNKNOWN:
                raise
            return {}
        return user

    def other_passwords(self, users: Iterable[User], present: Collection[str]) -> set[str]:
        """Return the users whose password is not the wished one: those who can't log in with it."""
        asked = [user for user in users if user.present and user.password and user.name in present]
        return {user.name for user in asked if user.update_password == plans.ALWAYS and not self._fits(user)}

    def _fits(self, user: User) -> bool:
        access = replace(self.api.access, username=user.name, password=user.password, token="")
        try:
            TrackingApi(access).get(f"{_USERS}/get", {"username": user.name})
        except ApiError as error:
            if error.reason != "unauthorized":
                raise
            return False
        return True

    def do(self, step: Step) -> None:
        """Make one change."""
        does: dict[str, Callable[[Step], object]] = {
            plans.CREATE: lambda one: self._users("POST", "create", one, password=one.password),
            plans.DELETE: self._delete,
            plans.PASSWORD: lambda one: self._users("PATCH", "update-password", one, password=one.password),
            plans.ADMIN: lambda one: self._users("PATCH", "update-admin", one, is_admin=one.admin),
            plans.GRANT: self._grant,
            plans.CHANGE: self._change,
            plans.REVOKE: self._revoke,
        }
        does[step.action](step)

    def _users(self, method: str, call: str, step: Step, **more: object) -> None:
        self.api.send(method, f"{_USERS}/{call}", {"username": step.user, **more})

    def _permissions(self, method: str, new_call: str, old_call: str, step: Step) -> None:
        thing = step.thing
        if thing is None:
            raise ValueError(f"{step.action} is for a thing")
        permission = {"permission": step.permission} if step.permission else {}
        if self.roles:
            named = {"username": step.user, "resource_type": thing.kind, "resource_id": thing.id}
            self.api.post(f"{_PERMISSIONS}/{new_call}", {**named, **permission})
        else:
            path, key, _listed = _OLD[thing.kind]
            self.api.send(method, f"{path}/{old_call}", {"username": step.user, key: thing.id, **permission})

    def _delete(self, step: Step) -> None:
        if not self.roles:
            # These releases fail to delete a user who has permissions (NOT NULL constraint failed).
            for _user, thing in sorted(self.present([step.user], []).grants):
                self._revoke(Step(plans.REVOKE, step.user, thing=thing))
        self._users("DELETE", "delete", step)

    def _grant(self, step: Step) -> None:
        self._permissions("POST", "grant", "create", step)

    def _revoke(self, step: Step) -> None:
        self._permissions("DELETE", "revoke", "delete", step)

    def _change(self, step: Step) -> None:
        if self.roles:
            # There is no call that changes one; should the second fail, the next run gives it.
            self._revoke(replace(step, permission=""))
            self._grant(step)
        else:
            self._permissions("PATCH", "", "update", step)
