from __future__ import annotations

from bench.first_install import OURS, PIP, UV, Install, measures


def test_ours_is_compared_with_each_way_round_by_round() -> None:
    uv, pip = measures(
        {
            OURS: [Install(60, 10, 2000), Install(50, 10, 2000)],
            UV: [Install(40, 20, 700), Install(40, 15, 700)],
            PIP: [Install(120, 20, 9000), Install(100, 20, 9000)],
        }
    )
    assert (uv.ratios, uv.ratio, uv.verdict) == ((1.5, 1.25), 1.375, "met")
    assert (pip.ratios, pip.verdict) == ((0.5, 0.5), "no goal")
    assert uv.details["by hand, uv: of that, from the server's start to its first answer, s"] == 17.5
    assert uv.details["by hand, uv: modules left compiled to bytecode"] == 700
    assert uv.details["ratio of the rest, without the server's start"] == 2.05
