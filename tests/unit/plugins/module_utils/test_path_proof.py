"""The messages of the proof."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import path_proof
from ansible_collections.selfhosted.mlflow.plugins.module_utils.path_proof import Member

ALICE, BOB = Member("ws1", "alice"), Member("ws1", "bob")
FAR_ALICE, FAR_BOB = Member("ws2", "alice"), Member("ws2", "bob")


def test_only_a_reader_of_the_nonce_can_reply() -> None:
    nonce, other = path_proof.new_nonce(), path_proof.new_nonce()

    right = path_proof.reply_bytes(nonce, ALICE)

    assert len(right) == path_proof.REPLY_SIZE
    assert path_proof.reply_bytes(nonce, ALICE) == right
    assert right not in (path_proof.reply_bytes(other, ALICE), path_proof.reply_bytes(nonce, BOB))
    assert nonce not in path_proof.digest(nonce)


def test_names_are_hexadecimal_whatever_hosts_are_called() -> None:
    odd = Member("../../etc", "root\n; rm -rf /")

    name = path_proof.reply_directory(path_proof.new_run(), odd)

    assert path_proof.is_ours(name)
    assert "/" not in name


def test_members_are_told_apart_by_both_names() -> None:
    assert len({Member("a", "bc").key, Member("ab", "c").key, Member("abc", "").key}) == 3


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("mlflow-probe 1 0123456789abcdef {nonce}\n", True),
        ("mlflow-probe 1 0123456789abcdef {nonce}", False),
        ("mlflow-probe 1 fedcba9876543210 {nonce}\n", False),
        ("mlflow-probe 2 0123456789abcdef {nonce}\n", False),
        ("", False),
    ],
)
def test_nonce_is_read_from_a_sentinel_of_this_run_only(text: str, seen: bool) -> None:
    nonce = "0" * 64
    assert path_proof.nonce_of(text.format(nonce=nonce), "0123456789abcdef") == (nonce if seen else "")


@pytest.mark.parametrize("run", ["", "x", "0123456789ABCDEF", "0123456789abcdef/", "0" * 17])
def test_a_run_has_a_strict_name(run: str) -> None:
    with pytest.raises(ValueError, match="sixteen hexadecimal digits"):
        path_proof.check_run(run)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([ALICE], {}),
        ([ALICE, FAR_ALICE], {}),
        ([ALICE, BOB], {ALICE: BOB, BOB: ALICE}),
        ([ALICE, BOB, FAR_ALICE, FAR_BOB], {ALICE: FAR_BOB, BOB: FAR_ALICE, FAR_ALICE: BOB, FAR_BOB: ALICE}),
        ([ALICE, FAR_BOB], {ALICE: FAR_BOB, FAR_BOB: ALICE}),
    ],
)
def test_partners_are_other_users_elsewhere_if_there_are(members: list[Member], expected: dict[Member, Member]) -> None:
    assert path_proof.partners(members) == expected
