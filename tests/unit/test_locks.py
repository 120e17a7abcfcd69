"""Every file of locked requirements pins each package with hashes and names no index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import stage

LOCKS = sorted(
    [*stage.REPOSITORY.glob("requirements/*.txt"), *stage.REPOSITORY.glob("roles/*/files/locks/*.txt")],
)
REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,-]+\])?==[^\s;]+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(stage.REPOSITORY)))
def test_lock_pins_with_hashes_and_names_no_index(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line[:80] for line in lines if not REQUIREMENT.fullmatch(line)] == []
    assert "://" not in text
