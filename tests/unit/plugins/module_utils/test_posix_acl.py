"""The bytes of default ACLs."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import posix_acl

#: What Linux 6.1 (ext4) returned for a directory with u::rwx,g::rwx,m::rwx,o::- as its default ACL.
SHARED = bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 10000700ffffffff 20000000ffffffff")
#: The same with `u:1000:r-x` and a group without write.
NAMED = bytes.fromhex(
    "02000000 01000700ffffffff 02000500e8030000 04000500ffffffff 10000500ffffffff 20000000ffffffff",
)


def test_writes_what_the_kernel_keeps() -> None:
    assert posix_acl.encode(posix_acl.SHARED) == SHARED
    assert posix_acl.with_group_write(b"") == SHARED


@pytest.mark.parametrize(
    ("value", "grants"),
    [
        (SHARED, True),
        (NAMED, False),
        (b"", False),
        # A mask without write takes the group's right away.
        (bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 10000500ffffffff 20000000ffffffff"), False),
        # No mask at all: the group's own bits count.
        (bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 20000000ffffffff"), True),
    ],
)
def test_knows_whether_the_group_may_write(value: bytes, grants: bool) -> None:
    assert posix_acl.grants_group_write(value) is grants
    assert posix_acl.grants_group_write(posix_acl.with_group_write(value))


def test_keeps_the_entries_an_administrator_has_made() -> None:
    text = posix_acl.to_text(posix_acl.with_group_write(NAMED))
    assert text == "user::rwx,user:1000:r-x,group::rwx,mask::rwx,other::---"


@pytest.mark.parametrize("value", [b"\x01\x00\x00\x00", SHARED[:-1], b"\x02"])
def test_refuses_other_bytes(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a POSIX ACL"):
        posix_acl.decode(value)
