# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing on this machine, and what to do about it."""

from __future__ import annotations

import pytest

from lab import requirements
from lab.base import LabError


def test_what_is_there_is_not_asked_for() -> None:
    assert requirements.missing("uml", lambda evidence: evidence != "linux.uml") == ["user-mode-linux"]
    assert requirements.missing("uml", lambda _evidence: True) == []
    assert "docker.io" in requirements.missing("docker", lambda _evidence: False)
    assert "user-mode-linux" not in requirements.missing("docker", lambda _evidence: False)


def test_a_compiler_is_asked_for_only_where_the_processor_needs_it() -> None:
    assert requirements.missing("uml", lambda _evidence: True, compiler_wanted=True) == ["tcc"]
    assert requirements.missing("docker", lambda _evidence: True, compiler_wanted=True) == []


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(
        LabError, match="no group 'kvm'; known are uml, browser, backups, databases, firewall, proxies, docker"
    ):
        requirements.missing("kvm")


@pytest.mark.parametrize(
    ("has_apt", "is_root", "unavailable", "message"),
    [
        (True, True, [], None),
        (True, False, [], "As root: apt-get install --no-install-recommends mmdebstrap user-mode-linux"),
        (False, True, [], "missing: mmdebstrap user-mode-linux. There is no apt-get here"),
        (True, True, ["user-mode-linux"], "use LAB=docker"),
        (True, True, ["mmdebstrap"], "apt knows no mmdebstrap"),
    ],
)
def test_where_packages_cannot_be_installed_one_is_told_what_to_do(
    has_apt: bool, is_root: bool, unavailable: list[str], message: str | None
) -> None:
    found = requirements.refusal(["mmdebstrap", "user-mode-linux"], has_apt, is_root, unavailable)

    assert (found is None) == (message is None)
    assert message is None or message in str(found)


def test_packages_without_a_candidate_are_found_in_apts_answer() -> None:
    answer = (
        "mmdebstrap:\n  Installed: (none)\n  Candidate: 1.3.5-7\n  Version table:\n     1.3.5-7 500\n"
        "        500 http://mirror bookworm/main amd64 Packages\n"
        "user-mode-linux:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n"
    )
    wanted = ["mmdebstrap", "user-mode-linux", "unheard-of"]

    assert requirements.unavailable(answer, wanted) == ["user-mode-linux", "unheard-of"]
