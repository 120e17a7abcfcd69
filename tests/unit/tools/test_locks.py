from __future__ import annotations

import pytest

from tools.locks import merge, render


def package(name: str, version: str, wheels: list[str], sdist: str = "") -> dict[str, object]:
    return {
        "name": name,
        "version": version,
        "wheels": [{"url": f"https://example.org/{one}.whl", "hashes": {"sha256": one}} for one in wheels],
        "sdist": {"hashes": {"sha256": sdist}},
    }


def test_hashes_of_both_platforms() -> None:
    one = {"packages": [package("a", "1", ["x86", "any"])]}
    other = {"packages": [package("a", "1", ["arm", "any"])]}
    assert merge([one, other]) == {"a==1": {"x86", "arm", "any"}}


def test_a_source_distribution_where_there_is_no_wheel() -> None:
    assert merge([{"packages": [package("a", "1", [], "source")]}]) == {"a==1": {"source"}}


def test_a_source_distribution_is_left_out_where_a_wheel_fits() -> None:
    assert merge([{"packages": [package("a", "1", ["wheel"], "source")]}]) == {"a==1": {"wheel"}}


def test_platforms_that_disagree() -> None:
    locks = [{"packages": [package("a", "1", ["x"])]}, {"packages": [package("a", "2", ["y"])]}]
    with pytest.raises(ValueError, match="a is 1 on one platform, 2 on another"):
        merge(locks)


def test_render() -> None:
    assert render({"b==2": {"22", "11"}, "a==1": {"33"}}, "x.in", "Python 3.11") == (
        "# Locked by `make locks` from x.in, for Linux and Python 3.11.\n"
        "a==1 \\\n    --hash=sha256:33\n"
        "b==2 \\\n    --hash=sha256:11 \\\n    --hash=sha256:22\n"
    )
