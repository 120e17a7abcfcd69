"""Check mode on the untouched hosts told what converge then did."""

from __future__ import annotations

import os
from pathlib import Path

from lab import record


def test_check_mode_predicted_every_change() -> None:
    check, converge = record.read(Path(os.environ["LAB_RECORD_DIR"]))
    differing = record.compare(check, converge)

    assert any(event.changed for event in converge)
    assert not differing, "\n".join(differing)
