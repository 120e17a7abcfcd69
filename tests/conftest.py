"""What takes long, and is run before a release rather than with each change."""

from __future__ import annotations

import pytest

from tools import long_tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what takes long, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        long_tests.leave_out(items)
