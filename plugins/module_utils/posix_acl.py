# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The POSIX default ACL of a directory, without the setfacl program.

The bytes are those of linux/posix_acl_xattr.h: a version word, then entries of
tag, permissions and id, all little-endian.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Optional, Union

XATTR = "system.posix_acl_default"

_VERSION = 2
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")
_NO_ID = 0xFFFFFFFF
_USER_OBJ, _GROUP_OBJ, _MASK, _OTHER = 0x01, 0x04, 0x10, 0x20
_RWX = 7
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

#: An entry's (tag, id) and its permission bits.
Entries = dict[tuple[int, int], int]

SHARED: Entries = {
    (_USER_OBJ, _NO_ID): _RWX,
    (_GROUP_OBJ, _NO_ID): _RWX,
    (_MASK, _NO_ID): _RWX,
    (_OTHER, _NO_ID): 0,
}


def encode(entries: Entries) -> bytes:
    """Return the attribute's bytes, in the order the kernel demands."""
    body = (_ENTRY.pack(tag, bits, owner) for (tag, owner), bits in sorted(entries.items()))
    return _HEADER.pack(_VERSION) + b"".join(body)


def decode(value: bytes) -> Entries:
    """Return the entries of an attribute's bytes; b'' (no ACL) has none.

    Raises ValueError for another version or a torn entry.
    """
    if not value:
        return {}
    head, body = value[: _HEADER.size], value[_HEADER.size :]
    if head != _HEADER.pack(_VERSION) or len(body) % _ENTRY.size:
        raise ValueError(f"not a POSIX ACL of version {_VERSION}: {value!r}")
    return {(tag, owner): bits for tag, bits, owner in _ENTRY.iter_unpack(body)}


def with_group_write(value: bytes) -> bytes:
    """Return the default ACL that lets the owning group do everything.

    An ACL the administrator has made keeps its named entries; without one the
    result is SHARED.
    """
    entries = decode(value)
    if not entries:
        return encode(SHARED)
    return encode({**entries, (_GROUP_OBJ, _NO_ID): _RWX, (_MASK, _NO_ID): _RWX})


def grants_group_write(value: bytes) -> bool:
    """Whether new files are born group-writable, whatever their maker's umask."""
    entries = decode(value)
    group = entries.get((_GROUP_OBJ, _NO_ID), 0)
    return group & entries.get((_MASK, _NO_ID), _RWX) == _RWX


def to_text(value: bytes) -> str:
    """Return the ACL in setfacl's short form, for a diff; '' when there is none."""
    letters = {_USER_OBJ: "user", 0x02: "user", _GROUP_OBJ: "group", 0x08: "group", _MASK: "mask", _OTHER: "other"}
    parts = []
    for (tag, owner), bits in sorted(decode(value).items()):
        name = "" if owner == _NO_ID else str(owner)
        rights = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        parts.append(f"{letters.get(tag, hex(tag))}:{name}:{rights}")
    return ",".join(parts)


def read(directory: Union[str, int]) -> Optional[bytes]:
    """Return a directory's default ACL, b'' for none, None where the file system has no ACLs."""
    try:
        return os.getxattr(directory, XATTR)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return b""
        if error.errno in _UNSUPPORTED:
            return None
        raise
