"""A fake of Nomad's servers: one node, no time, the parts of the HTTP API that a job needs.

What it answers follows the source of Nomad 2.0 (command/agent, nomad/job_endpoint.go, scheduler/reconciler,
nomad/deploymentwatcher): indexes, the conflict of EnforceIndex, deployments, going back to the stable version.
HCL is not parsed: a text stands for the job that it was given.  Time passes by one step each time a job is read.
How an allocation does is said by its job's Meta: "does" is "well", "badly", "nothing" (it never becomes healthy),
"unplaced" or "exits".
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.unit.plugins.fake_tracking import Answer, Asked, FakeTracking, serve

Object = dict[str, Any]
#: What structs.Job.SpecChanged leaves out.
SERVERS_OWN = {"Version", "Stable", "Status", "CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime"}
TIME = 1_780_000_000_000_000_000
NODE = "57a1229f-n1"
METRICS = {
    "NodesEvaluated": 1,
    "NodesFiltered": 1,
    "NodesInPool": 1,
    "NodePool": "default",
    "NodesAvailable": {"dc1": 1},
    "ClassFiltered": None,
    "ConstraintFiltered": {"missing compatible host volumes": 1},
    "NodesExhausted": 0,
    "ClassExhausted": None,
    "DimensionExhausted": None,
    "QuotaExhausted": None,
}


def job(does: str = "well", name: str = "mlflow", **changes: Any) -> Object:
    """A job as /v1/jobs/parse returns it; auto_revert is on."""
    group = {
        "Name": "server",
        "Count": 1,
        "Update": {"AutoRevert": True, "MaxParallel": 1},
        "Tasks": [{"Name": "mlflow"}],
    }
    return {
        "ID": name,
        "Type": None,
        "Namespace": None,
        "Region": None,
        "Meta": {"does": does},
        "TaskGroups": [group],
        **changes,
    }


def spec(of: Object) -> Object:
    return {key: value for key, value in of.items() if key not in SERVERS_OWN}


class Nomad:
    """The state of a cluster."""

    def __init__(self, texts: dict[str, Object], token: str = "") -> None:
        self.texts = texts
        self.token = token
        self.index = 10
        self.jobs: dict[str, Object] = {}
        self.versions: dict[str, list[Object]] = {}
        self.deployments: list[Object] = []
        self.evaluations: list[Object] = []
        self.allocations: list[Object] = []
        self.logs = {
            "stdout": "starting\n",
            "stderr": "".join(f"line {number}\n" for number in range(50)) + "boom\x1b[0m\n",
        }
        self.denied = ""
        self.denied_volumes: set[str] = set()
        self.invalid: list[str] = []
        #: Called before a registration, for what somebody else does meanwhile.
        self.before_register: Callable[[], object] = lambda: None
        self.asked: list[Asked] = []
        self._lock = threading.Lock()

    # --- HTTP ----------------------------------------------------------------

    def respond(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if self.token and asked.headers.get("x-nomad-token") != self.token:
                return Answer(403, b"Permission denied")
            parts = urlsplit(asked.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            path = unquote(parts.path)
            if self.denied and re.search(self.denied, f"{asked.method} {path}"):
                return Answer(403, b"Permission denied")
            return self._route(asked.method, path, query, asked.body)

    def _route(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        fixed = {"/v1/jobs/parse": self._parse, "/v1/validate/job": self._validate, "/v1/jobs": self._register}
        if path in fixed:
            return fixed[path](body)
        if path.startswith("/v1/client/fs/logs/"):
            return self._log(query)
        if path.startswith(("/v1/var/", "/v1/agent/", "/v1/node/", "/v1/namespace/")):
            return self._other(path, query)
        match = re.fullmatch(r"/v1/job/(.+?)(?:/(plan|deployments|evaluations|allocations))?", path)
        if match is None:
            return Answer(404, b"")
        name, what = match[1], match[2]
        if method == "DELETE":
            return self._deregister(name, query.get("purge") == "true")
        return self._plan(name, body["Job"]) if what == "plan" else self._read(name, what)

    def _other(self, path: str, query: dict[str, str]) -> Answer:
        known: dict[str, Object] = {
            "/v1/namespace/ml": {"Name": "ml"},
            "/v1/agent/self": {"stats": {"client": {"node_id": NODE}}},
            f"/v1/node/{NODE}": {"ID": NODE, "Name": "n1"},
        }
        if path in known:
            return Answer(body=known[path])
        # No variable is there, so that only index 0 would write one.
        return Answer(409 if query.get("cas", "0") != "0" else 404, b"{}")

    def _read(self, name: str, what: str) -> Answer:
        if what == "allocations":
            self._stop(name)
        if what:
            return Answer(body=json.dumps(self._of(getattr(self, what), name)).encode())
        self._step(name)
        found = self.jobs.get(name)
        return Answer(body=found) if found else Answer(404, b"job not found")

    def _parse(self, body: Object) -> Answer:
        found = self.texts.get(body["JobHCL"])
        if found is None:
            return Answer(400, b"Failed to parse job: input.hcl:1,1-2: Invalid block definition")
        return Answer(body=found)

    def _validate(self, body: Object) -> Answer:
        return Answer(body={"ValidationErrors": self.invalid or None, "Error": "; ".join(self.invalid), "Warnings": ""})

    def _log(self, query: dict[str, str]) -> Answer:
        if query["task"] == "no task's name":
            return Answer(400, b"unknown task name")
        assert (query["plain"], query["origin"]) == ("true", "end")
        return Answer(body=self.logs[query["type"]].encode()[-int(query["offset"]) :])

    # --- jobs ----------------------------------------------------------------

    def _canonical(self, given: Object) -> Object:
        filled = {"Type": "service", "Namespace": "default", "Region": "global"}
        return {
            **given,
            **{key: given.get(key) or value for key, value in filled.items()},
            "Stop": given.get("Stop") or False,
        }

    def _plan(self, name: str, given: Object) -> Answer:
        wanted, known = self._canonical(given), self.jobs.get(name)
        if known is None:
            diff: Object = {"Type": "Added", "ID": name, "Fields": [], "Objects": None, "TaskGroups": None}
        else:
            flat_old, flat_new = flat(spec(known)), flat(spec(wanted))
            fields = [
                {
                    "Type": "Edited",
                    "Name": key,
                    "Old": flat_old.get(key, ""),
                    "New": flat_new.get(key, ""),
                    "Annotations": None,
                }
                for key in sorted({*flat_old, *flat_new})
                if flat_old.get(key) != flat_new.get(key)
            ]
            # Nomad calls a group edited even when no field of it differs.
            group = {
                "Type": "Edited",
                "Name": "server",
                "Fields": None,
                "Objects": None,
                "Tasks": None,
                "Updates": None,
            }
            diff = {"Type": "Edited", "ID": name, "Fields": fields, "Objects": None, "TaskGroups": [group]}
        failed = {"server": METRICS} if wanted["Meta"]["does"] == "unplaced" else None
        index = known["JobModifyIndex"] if known else 0
        return Answer(body={"Diff": diff, "JobModifyIndex": index, "FailedTGAllocs": failed, "Warnings": ""})

    def _register(self, body: Object) -> Answer:
        self.before_register()
        name = body["Job"]["ID"]
        wanted = [
            volume["Source"] for group in body["Job"]["TaskGroups"] for volume in group.get("Volumes", {}).values()
        ]
        if self.denied_volumes & set(wanted):
            return Answer(403, b"Permission denied")
        known, index = self.jobs.get(name), body["JobModifyIndex"]
        if body["EnforceIndex"]:
            prefix = f"Enforcing job modify index {index}"
            if known and index == 0:
                return Answer(500, f"{prefix}: job already exists".encode())
            if known and index != known["JobModifyIndex"]:
                text = f"{prefix}: job exists with conflicting job modify index: {known['JobModifyIndex']}"
                return Answer(500, text.encode())
            if not known and index != 0:
                return Answer(500, f"{prefix}: job does not exist".encode())
        self.put(body["Job"])
        evaluation = self.evaluations[-1]
        return Answer(body={"EvalID": evaluation["ID"], "JobModifyIndex": self.jobs[name]["JobModifyIndex"]})

    def put(self, given: Object) -> None:
        """Register a job whatever its index."""
        wanted, name = self._canonical(given), given["ID"]
        known = self.jobs.get(name)
        if known is None or spec(known) != spec(wanted):
            self.index += 1
            version = known["Version"] + 1 if known else 0
            created = known["CreateIndex"] if known else self.index
            self.jobs[name] = {
                **spec(wanted),
                "Version": version,
                "Stable": False,
                "Status": "pending",
                "CreateIndex": created,
                "ModifyIndex": self.index,
                "JobModifyIndex": self.index,
            }
            self.versions.setdefault(name, []).append(self.jobs[name])
        self._evaluate(name)

    def _evaluate(self, name: str) -> Object:
        self.index += 1
        evaluation = {"ID": f"eval-{self.index}", "JobID": name, "Status": "pending", "StatusDescription": ""}
        self.evaluations.append({**evaluation, "CreateIndex": self.index, "FailedTGAllocs": None})
        return self.evaluations[-1]

    def _deregister(self, name: str, purge: bool) -> Answer:
        known = self.jobs.get(name)
        if known:
            for one in self._of(self.deployments, name):
                if one["Status"] == "running":
                    one.update(Status="cancelled", StatusDescription="Cancelled because job is stopped")
            for one in self._of(self.allocations, name):
                if one["ClientStatus"] == "running":
                    one["DesiredStatus"] = "stop"
            self.put({**spec(known), "Stop": True})
            if purge:
                del self.jobs[name]
        return Answer(body={"EvalID": "", "JobModifyIndex": self.index})

    @staticmethod
    def _of(listed: list[Object], name: str) -> list[Object]:
        return [one for one in listed if one["JobID"] == name]

    # --- time ----------------------------------------------------------------

    def _stop(self, name: str) -> None:
        for one in self._of(self.allocations, name):
            if one["DesiredStatus"] == "stop" and one["ClientStatus"] == "running":
                one["ClientStatus"] = "complete"

    def _step(self, name: str) -> None:
        known = self.jobs.get(name)
        pending = [one for one in self._of(self.evaluations, name) if one["Status"] == "pending"]
        if known is None or known["Stop"]:
            for one in pending:
                one["Status"] = "complete"
            if known:
                known["Status"] = "dead"
            return
        if pending:
            self._schedule(known, pending[-1])
            return
        for one in self._of(self.deployments, name):
            if one["Status"] == "running":
                self._progress(known, one)
        self._status(known)

    def _status(self, known: Object) -> None:
        own = self._of(self.allocations, known["ID"])
        alive = any(one["ClientStatus"] in ("running", "pending") for one in own)
        known["Status"] = "running" if alive else "dead"

    def _schedule(self, known: Object, evaluation: Object) -> None:
        evaluation["Status"] = "complete"
        own = [one for one in self._of(self.allocations, known["ID"]) if one["JobVersion"] == known["Version"]]
        if own:
            return
        does = known["Meta"]["does"]
        if known["Meta"].get("reschedule") == "off":
            # What has failed and was not stopped holds its place, until the tasks differ.
            held = [one for one in self._of(self.allocations, known["ID"]) if one["ClientStatus"] == "failed"]
            if any(one["DesiredStatus"] == "run" for one in held):
                return
        self.index += 1
        if does == "unplaced":
            blocked = {**evaluation, "ID": f"eval-{self.index}", "Status": "blocked", "CreateIndex": self.index}
            evaluation["FailedTGAllocs"] = blocked["FailedTGAllocs"] = {"server": METRICS}
            self.evaluations.append(blocked)
        else:
            for one in self._of(self.allocations, known["ID"]):
                one["DesiredStatus"] = "stop"
            self.allocations.append(self._allocation(known))
        if known["Type"] == "service" and known["TaskGroups"][0]["Update"]:
            group = {
                "AutoPromote": False,
                "Promoted": False,
                "DesiredCanaries": 0,
                "DesiredTotal": 1,
                "HealthyAllocs": 0,
            }
            self.deployments.append(
                {
                    "ID": f"deployment-{self.index}",
                    "JobID": known["ID"],
                    "JobVersion": known["Version"],
                    "JobCreateIndex": known["CreateIndex"],
                    "CreateIndex": self.index,
                    "Status": "running",
                    "StatusDescription": "Deployment is running",
                    "TaskGroups": {"server": {**group, "UnhealthyAllocs": 0}},
                }
            )

    def _allocation(self, known: Object) -> Object:
        does = known["Meta"]["does"]
        bad = does == "badly" or (does == "exits" and known["Type"] == "service")
        event = {
            "Type": "Terminated" if bad else "Started",
            "Time": TIME,
            "DisplayMessage": "Exit Code: 1" if bad else "",
        }
        state = {"State": "dead" if bad else "running", "Failed": bad, "Restarts": 2 * bad, "Events": [event]}
        status = "failed" if bad else "complete" if does == "exits" else "running"
        return {
            "ID": f"alloc-{self.index}-0123",
            "JobID": known["ID"],
            "JobVersion": known["Version"],
            "NodeID": NODE,
            "NodeName": "n1",
            "TaskGroup": "server",
            "DesiredStatus": "run",
            "ClientStatus": status,
            "CreateIndex": self.index,
            "TaskStates": {"mlflow": state},
            "DeploymentStatus": {"Healthy": False} if bad else None,
        }

    def _progress(self, known: Object, deployment: Object) -> None:
        does = known["Meta"]["does"]
        own = [one for one in self._of(self.allocations, known["ID"]) if one["JobVersion"] == known["Version"]]
        if does == "well":
            own[-1]["DeploymentStatus"] = {"Healthy": True}
            deployment["TaskGroups"]["server"]["HealthyAllocs"] = 1
            deployment.update(Status="successful", StatusDescription="Deployment completed successfully")
            known["Stable"] = True
        elif does == "badly":
            self._fail(known, deployment)

    def _fail(self, known: Object, deployment: Object) -> None:
        why = "Failed due to unhealthy allocations"
        stable = [one for one in self.versions[known["ID"]] if one["Stable"]]
        if known["TaskGroups"][0]["Update"]["AutoRevert"]:
            if stable:
                why += f" - rolling back to job version {stable[-1]['Version']}"
                self.put(spec(stable[-1]))
            else:
                why += " - no stable job version to auto revert to"
        deployment.update(Status="failed", StatusDescription=why)


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Nomad's flatmap: the fields of an object by their path."""
    if isinstance(value, dict):
        parts = (flat(one, f"{name}[{key}]" if name else key) for key, one in value.items())
        return {key: text for part in parts for key, text in part.items()}
    return {name: value if isinstance(value, str) else json.dumps(value)}


@contextmanager
def run(nomad: Nomad) -> Iterator[FakeTracking]:
    """Serve a cluster's API until the block ends."""
    with serve(nomad.respond) as fake:
        yield fake
