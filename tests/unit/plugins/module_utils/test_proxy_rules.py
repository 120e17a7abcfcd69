"""Each row is an input that the role mlflow_proxy refuses, and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.certificate import Certificate, Pair
from ansible_collections.selfhosted.mlflow.plugins.module_utils.listeners import Listener
from ansible_collections.selfhosted.mlflow.plugins.module_utils.proxy_rules import (
    UNIT,
    Evidence,
    Server,
    Wish,
    judge,
    listened_to,
)

WISH = Wish()
FINE = Evidence(
    nginx=True,
    pair=Pair(Certificate("CN = ml", "CN = ca", ("ml.example.org",), 0, 100, "key"), public_key="key"),
    now=50,
)
APACHE = Listener("0.0.0.0", 443, "1", process="apache2 (process 7)", unit="apache2.service")
ONE, TWO = Server("ml1", "10.0.0.7", 5000), Server("ml2", "fd00::8", 5000)

REFUSED = [
    (WISH, replace(FINE, systemd=False), "not started by systemd", "its service", "process 1"),
    (WISH, replace(FINE, included=False), "includes no /etc/nginx/conf.d", "none of yours", "include /etc/nginx"),
    (
        WISH,
        replace(FINE, listeners=(APACHE,)),
        "apache2 (process 7) of apache2.service listens on port 443",
        "",
        "stop",
    ),
    (
        replace(WISH, redirect_port=0),
        replace(FINE, nginx=False, listeners=(replace(APACHE, port=80),)),
        "listens on port 80",
        "when it is installed",
        "stop",
    ),
    (WISH, replace(FINE, addresses_elsewhere=("10.9.9.9",)), "10.9.9.9", "could not listen", "0.0.0.0"),
    (replace(WISH, names=()), replace(FINE, pair=None), "names is empty", "refused", "host names"),
    (replace(WISH, names=("https://x",)), replace(FINE, pair=None), "https://x", "refused", "without scheme"),
    (replace(WISH, names=("*.example.org",)), replace(FINE, pair=None), "*.example", "refused", "asterisk"),
    (replace(WISH, names=("a;b",)), replace(FINE, pair=None), "a;b", "refused", "host names"),
    (replace(WISH, static_prefix="/ml/"), FINE, "'/ml/'", "begins with", "end without one"),
    (replace(WISH, static_prefix="/{ml"), FINE, "'/{ml'", "begins with", "end without one"),
    (replace(WISH, servers=()), FINE, "servers is empty", "nothing to pass", "group"),
    (replace(WISH, servers=(replace(ONE, address="a b"),)), FINE, "'a b'", "told of it", "without brackets"),
    (replace(WISH, servers=(replace(ONE, port=0),)), FINE, "port 0", "told of it", "a port"),
    (replace(WISH, servers=(replace(ONE, name="x/../y"),)), FINE, "x/../y", "told of it", "letters"),
    (replace(WISH, servers=(ONE, ONE)), FINE, "'ml1' twice", "told apart", "once"),
    (replace(WISH, port=0), FINE, "port is 0", "two ports", "443 and 80"),
    (replace(WISH, port=80), FINE, "redirect_port 80", "two ports", "443 and 80"),
    (replace(WISH, hsts_max_age=-1), FINE, "hsts_max_age is -1", "seconds", "0"),
    (replace(WISH, max_body_size="10 GB"), FINE, "'10 GB'", "notation", "k, m or g"),
    (replace(WISH, timeout=10), FINE, "timeout is 10", "silent", "60 seconds"),
    (replace(WISH, certificate=""), replace(FINE, pair=None), "certificate is ''", "encrypt", "private_authority"),
    (replace(WISH, key="c.key"), FINE, "key is 'c.key'", "absolute", "slash"),
    (replace(WISH, acme_webroot="/var/w w"), FINE, "'/var/w w'", "absolute", "blanks"),
    (replace(WISH, private_authority=True, acme_directory="/d"), FINE, "both given", "one of them", "leave one"),
    (replace(WISH, nginx=False), replace(FINE, pair=None), "snippets is empty", "nothing", "caddy"),
    (replace(WISH, snippets=(("nginx", "/x"),)), FINE, "'nginx'", "kinds", "caddy, traefik"),
    (WISH, replace(FINE, openssl=False, pair=Pair()), "no program openssl", "looked at", "install"),
    (replace(WISH, names=("ml.example.org", "two")), FINE, "not for two", "refuse", "subjectAltName"),
    (WISH, replace(FINE, now=200), "has expired", "refuse", "renew"),
]


@pytest.mark.parametrize(("wish", "evidence", "found", "why", "instead"), REFUSED)
def test_refuses(wish: Wish, evidence: Evidence, found: str, why: str, instead: str) -> None:
    (problem,) = judge(wish, evidence)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


NGINX = replace(APACHE, process="nginx (process 9)", unit="")


@pytest.mark.parametrize(
    ("wish", "evidence"),
    [
        (WISH, FINE),
        (replace(WISH, names=("[::1]",), static_prefix="/a/b", redirect_port=0), replace(FINE, pair=None)),
        (replace(WISH, servers=(ONE, TWO), max_body_size="10g"), FINE),
        (WISH, replace(FINE, listeners=(NGINX, replace(APACHE, process="", unit=UNIT)))),
        (
            Wish(nginx=False, certificate="", key="", snippets=(("caddy", "/etc/caddy/mlflow"),)),
            Evidence(systemd=False),
        ),
    ],
)
def test_accepts(wish: Wish, evidence: Evidence) -> None:
    assert judge(wish, evidence) == []


@pytest.mark.parametrize(("has_ipv6", "expected"), [(True, ["0.0.0.0", "[::]"]), (False, ["0.0.0.0"])])
def test_listens_as_the_kernel_can(has_ipv6: bool, expected: list[str]) -> None:
    assert listened_to(WISH, has_ipv6) == expected
