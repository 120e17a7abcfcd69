# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role mlflow_proxy refuses before it changes anything."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils import certificate
from ansible_collections.selfhosted.mlflow.plugins.module_utils.listeners import Listener
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

UNIT = "nginx.service"
#: Debian's package starts nginx with a site of its own on this port.
PACKAGE_PORT = 80
SNIPPETS = ("caddy", "traefik", "traefik_labels")
_LAST_PORT = 65535
_SHORTEST_TIMEOUT = 60
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
#: What stands unquoted in the configuration of each proxy.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_LABEL = re.compile(r"[A-Za-z0-9_.-]+")
_PATH = re.compile(r"(/[A-Za-z0-9._@+:~-]+)+")
_SIZE = re.compile(r"0|[1-9]\d*[kmg]?")


@dataclass(frozen=True)
class Server:
    """One MLflow server: ``name`` is the inventory's."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Wish:
    """The inputs."""

    nginx: bool = True
    names: tuple[str, ...] = ("ml.example.org",)
    static_prefix: str = ""
    servers: tuple[Server, ...] = (Server("ml", "127.0.0.1", 5000),)
    listen_addresses: tuple[str, ...] = ("0.0.0.0", "::")
    port: int = 443
    redirect_port: int = 80
    certificate: str = "/etc/ssl/ml.pem"
    key: str = "/etc/ssl/private/ml.key"
    acme_directory: str = ""
    acme_webroot: str = ""
    private_authority: bool = False
    hsts_max_age: int = 0
    max_body_size: str = "0"
    timeout: int = 3600
    snippets: tuple[tuple[str, str], ...] = ()

    @property
    def ports(self) -> tuple[int, ...]:
        """Where it listens; 0 for the redirect means not at all."""
        return tuple(port for port in (self.port, self.redirect_port) if port)


@dataclass(frozen=True)
class Evidence:
    """What was found on the host; ``pair`` is None when no certificate of the user's is to be looked at.

    ``openssl`` says whether its program is there, ``included`` whether nginx's main file takes the role's in.
    """

    systemd: bool = True
    openssl: bool = True
    nginx: bool = False
    included: bool = True
    listeners: tuple[Listener, ...] = ()
    addresses_elsewhere: tuple[str, ...] = ()
    pair: Optional[certificate.Pair] = None
    now: float = 0.0


def _host(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if wish.nginx and not evidence.systemd:
        yield Problem(
            "this host was not started by systemd (there is no /run/systemd/system)",
            "nginx runs as its service",
            "deploy on a host or container whose process 1 is systemd",
        )
    if wish.nginx and not evidence.included:
        yield Problem(
            "/etc/nginx/nginx.conf includes no /etc/nginx/conf.d/*.conf",
            "that is where this role puts a file of its own, and it changes none of yours",
            "write `include /etc/nginx/conf.d/*.conf;` into its block http",
        )
    for listener in evidence.listeners:
        if listener.unit != UNIT and not listener.process.startswith("nginx "):
            yield Problem(
                f"{listener.process or 'another process'}"
                + (f" of {listener.unit}" if listener.unit else "")
                + f" listens on port {listener.port}",
                "nginx could not listen there"
                + (
                    ""
                    if listener.port in wish.ports
                    else ", which the distribution's package does when it is installed"
                ),
                "stop that service, or let it be the proxy: see mlflow_proxy_snippets",
            )
    for address in evidence.addresses_elsewhere:
        yield Problem(
            f"mlflow_proxy_listen_addresses has {address!r}, which is no address of this host",
            "nginx could not listen there",
            "write addresses of this host without brackets, or 0.0.0.0 and :: for all",
        )


def _names(wish: Wish) -> Iterator[Problem]:
    wrong = [name for name in wish.names if not _NAME.fullmatch(name)]
    if wrong or not wish.names:
        yield Problem(
            f"mlflow_proxy_names is {', '.join(wish.names) or 'empty'}",
            "requests for any other name are refused, and the certificate must cover each",
            "write host names without scheme, port or asterisk; the default is that of mlflow_tracking_uri",
        )
    if not _PREFIX.fullmatch(wish.static_prefix):
        yield Problem(
            f"mlflow_proxy_static_prefix is {wish.static_prefix!r}",
            "it is what every path of the server begins with",
            "begin with a slash and end without one, such as /mlflow, or leave it empty",
        )


def _servers(wish: Wish) -> Iterator[Problem]:
    if not wish.servers:
        yield Problem(
            "mlflow_proxy_servers is empty, and there is nobody in the group mlflow_server",
            "there is nothing to pass requests on to",
            "put the servers into the group, or list them with name, address and port",
        )
    for server in wish.servers:
        if not (_LABEL.fullmatch(server.name) and _is_host(server.address) and 0 < server.port <= _LAST_PORT):
            yield Problem(
                f"mlflow_proxy_servers has name {server.name!r}, address {server.address!r}, port {server.port}",
                "the proxy could not be told of it",
                "write a name of letters, digits and ._-, a host name or address without brackets, and a port",
            )
    names = [server.name for server in wish.servers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(f"mlflow_proxy_servers has {name!r} twice", "servers are told apart by name", "name each once")


def _is_host(text: str) -> bool:
    return bool(_NAME.fullmatch(text)) or _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _numbers(wish: Wish) -> Iterator[Problem]:
    if not 0 < wish.port <= _LAST_PORT or not 0 <= wish.redirect_port <= _LAST_PORT or wish.port == wish.redirect_port:
        yield Problem(
            f"mlflow_proxy_port is {wish.port}, mlflow_proxy_redirect_port {wish.redirect_port}",
            "they are two ports, up to 65535",
            "write 443 and 80, or 0 for no redirect",
        )
    if wish.hsts_max_age < 0:
        yield Problem(f"mlflow_proxy_hsts_max_age is {wish.hsts_max_age}", "it is in seconds", "write 0 for none")
    if not _SIZE.fullmatch(wish.max_body_size):
        yield Problem(
            f"mlflow_proxy_max_body_size is {wish.max_body_size!r}",
            "nginx does not know this notation",
            "write a number with k, m or g, or 0 for no limit",
        )
    if wish.timeout < _SHORTEST_TIMEOUT:
        yield Problem(
            f"mlflow_proxy_timeout is {wish.timeout}",
            "a server that commits a large upload is silent for longer, and the upload would fail",
            f"write {_SHORTEST_TIMEOUT} seconds or more",
        )


def _sources(wish: Wish) -> Iterator[Problem]:
    paths = {
        "mlflow_proxy_certificate": wish.certificate,
        "mlflow_proxy_key": wish.key,
        "mlflow_proxy_acme_webroot": wish.acme_webroot,
        **{f"mlflow_proxy_snippets.{kind}": path for kind, path in wish.snippets},
    }
    for name, path in paths.items():
        if path and not _PATH.fullmatch(path):
            yield Problem(f"{name} is {path!r}", "it is a file's absolute path", "begin with a slash, without blanks")
    if wish.nginx and not (wish.certificate and wish.key):
        yield Problem(
            f"mlflow_proxy_certificate is {wish.certificate!r}, mlflow_proxy_key {wish.key!r}",
            "there is nothing to encrypt with",
            "name both files, or mlflow_proxy_acme_directory such as /etc/letsencrypt/live/ml.example.org, or set "
            "mlflow_proxy_private_authority: true for a lab",
        )
    if wish.private_authority and wish.acme_directory:
        yield Problem(
            "mlflow_proxy_private_authority and mlflow_proxy_acme_directory are both given",
            "the certificate comes from one of them",
            "leave one out",
        )
    for kind in sorted({kind for kind, _path in wish.snippets} - set(SNIPPETS)):
        yield Problem(
            f"mlflow_proxy_snippets has {kind!r}",
            "it names files by kinds of proxy",
            f"write one of {', '.join(SNIPPETS)}",
        )
    if not wish.nginx and not wish.snippets:
        yield Problem(
            "mlflow_proxy_nginx is false, and mlflow_proxy_snippets is empty",
            "the role would do nothing",
            "name a file for caddy, traefik or traefik_labels",
        )


def _pair(wish: Wish, evidence: Evidence) -> Iterator[Problem]:
    if evidence.pair is None:
        return
    if not evidence.openssl:
        yield Problem("this host has no program openssl", "the certificate is looked at with it", "install openssl")
        return
    inputs, paths = ("mlflow_proxy_certificate", "mlflow_proxy_key"), (wish.certificate, wish.key)
    bare = [name.strip("[]") for name in wish.names]
    yield from certificate.problems(inputs, paths, bare, evidence.pair)
    if evidence.pair.certificate:
        yield from certificate.dated(wish.certificate, evidence.pair.certificate, evidence.now)


def listened_to(wish: Wish, has_ipv6: bool) -> list[str]:
    """Return the addresses to listen on as nginx writes them; a kernel without IPv6 has no ``::``."""
    return [f"[{one}]" if ":" in one else one for one in wish.listen_addresses if has_ipv6 or one != "::"]


def judge(wish: Wish, evidence: Evidence) -> Sequence[Problem]:
    """Return every reason not to go on."""
    return [
        *_host(wish, evidence),
        *_names(wish),
        *_servers(wish),
        *_numbers(wish),
        *_sources(wish),
        *_pair(wish, evidence),
    ]
