# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names and addresses, asked of the host's own resolver within a deadline."""

from __future__ import annotations

import ipaddress
import socket

from ansible_collections.selfhosted.mlflow.plugins.module_utils import bounded

_SECONDS = 10.0


def _ask(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return []
    return sorted({str(entry[4][0]) for entry in found})


def addresses(host: str) -> frozenset[str]:
    """Return the addresses of a host name, none when it isn't known or the resolver is silent."""
    try:
        return frozenset(bounded.run(lambda: _ask(host), _SECONDS))
    except (OSError, bounded.NoAnswerError):
        return frozenset()


def is_here(address: str) -> bool:
    """Whether an IP address is one of this host's: only then can a socket be bound to it."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
