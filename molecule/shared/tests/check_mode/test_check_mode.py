"""Check mode on the untouched hosts told what converge then did."""

from __future__ import annotations

import os
from pathlib import Path

from lab import record


def test_check_mode_predicted_every_change() -> None:
    assert record.told_wrongly(Path(os.environ["LAB_RECORD_DIR"])) == []
