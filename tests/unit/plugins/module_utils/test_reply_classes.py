"""From what the server found of a reply to its class."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import reply_classes
from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_sentinel import Claim, Reply
from ansible_collections.selfhosted.mlflow.plugins.module_utils.reply_classes import NOBODY, Seen

ALICE = Claim(Member("ws1", "alice"), 2001, 2001)
ROOT = Claim(Member("ws1", "root"), 0, 0)
FINE = Reply("arrived", uid=2001, gid=851, mode=0o2770, removed=True)


def seen(claim: Claim = ALICE, reply: Reply = FINE) -> Seen:
    return Seen("/mnt/mlflow", "mlflow", claim, reply)


#: Made up; what the lab makes for real is in the scenario `paths`.
CASES: dict[str, tuple[Seen, list[tuple[str, str]]]] = {
    "all is well": (seen(), []),
    "a synced copy": (seen(reply=Reply("absent")), [("replica", ERROR)]),
    "half copied": (seen(reply=replace(FINE, state="different")), [("reply_differs", ERROR)]),
    "a link in its place": (
        seen(reply=Reply("odd", "ELOOP", removal_error="ENOTDIR")),
        [("reply_differs", ERROR), ("left_behind", WARNING)],
    ),
    "not to be read": (seen(reply=replace(FINE, state="denied", error="EACCES")), [("service_denied", ERROR)]),
    "not to be entered": (seen(reply=Reply("denied", "EACCES")), [("service_denied", ERROR)]),
    "not to be removed": (
        seen(reply=replace(FINE, removed=False, removal_error="EACCES")),
        [("service_denied", ERROR)],
    ),
    "sticky": (seen(reply=replace(FINE, removed=False, removal_error="EPERM")), [("service_denied", ERROR)]),
    "something put into it": (
        seen(reply=replace(FINE, removed=False, removal_error="ENOTEMPTY")),
        [("left_behind", WARNING)],
    ),
    "root is nobody": (
        seen(replace(ROOT, made_uid=NOBODY), replace(FINE, uid=NOBODY)),
        [("root_squashed", INFO)],
    ),
    "root stays root": (seen(ROOT, replace(FINE, uid=0)), []),
    "all are one": (seen(replace(ALICE, made_uid=850), replace(FINE, uid=850)), [("all_squashed", INFO)]),
    "all are nobody": (seen(replace(ALICE, made_uid=NOBODY), replace(FINE, uid=NOBODY)), [("all_squashed", INFO)]),
    "idmap takes the owner for nobody": (seen(replace(ALICE, made_uid=NOBODY)), [("id_mapped_to_nobody", WARNING)]),
}


def found(one: Seen) -> list[tuple[str, str]]:
    return [(finding.name, finding.severity) for finding in reply_classes.classify_reply(one)]


@pytest.mark.parametrize("name", CASES)
def test_reply_leads_to_its_class(name: str) -> None:
    one, expected = CASES[name]
    assert found(one) == expected


@pytest.mark.parametrize("dropped", reply_classes.RULES, ids=lambda rule: rule.__name__.strip("_"))
def test_a_classifier_without_any_one_rule_is_caught(
    dropped: reply_classes.Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_classes, "RULES", tuple(rule for rule in reply_classes.RULES if rule is not dropped))
    assert any(found(one) != expected for one, expected in CASES.values())


def on(client: str, user: str, uid: int, server_uid: int | None = None) -> Seen:
    return seen(Claim(Member(client, user), uid, uid), replace(FINE, uid=uid if server_uid is None else server_uid))


@pytest.mark.parametrize(
    ("replies", "where"),
    [
        ([on("ws1", "alice", 2001), on("ws2", "alice", 2001), on("ws2", "bob", 2002)], []),
        ([on("ws1", "alice", 2001), on("ws2", "alice", 3001), on("ws3", "alice", 2001)], ["ws2"]),
        ([on("ws1", "alice", 2001, 850), on("ws2", "alice", 3001, 850)], []),
    ],
    ids=["same", "one differs", "squashed, so it doesn't matter"],
)
def test_one_name_with_two_numbers_is_two_users(replies: list[Seen], where: list[str]) -> None:
    differing = reply_classes.differing_ids(replies)
    assert [one.claim.member.client for one, _finding in differing] == where
    assert {(finding.name, finding.severity) for _one, finding in differing} <= {("ids_differ", WARNING)}
