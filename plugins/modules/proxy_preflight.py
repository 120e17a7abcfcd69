#!/usr/bin/python
# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy_preflight
short_description: Judge whether a host can be MLflow's reverse proxy as wished
version_added: 1.0.0
description:
  - Looks at the host, at the certificate with its key, and at the inputs of the role
    P(selfhosted.mlflow.mlflow_proxy#role), and fails with all problems at once, each with what was found, why it is
    wrong and what to write instead.
  - Warns of a certificate that expires within two weeks. Changes nothing.
author:
  - The selfhosted.mlflow authors (@selfhosted-mlflow)
options:
  nginx:
    description: Whether nginx is wanted on this host.
    type: bool
    default: true
  names:
    description: What clients call the proxy by.
    type: list
    elements: str
    required: true
  static_prefix:
    description: What every path of the servers begins with, or V("").
    type: str
    default: ""
  servers:
    description: The MLflow servers.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The server's name in the inventory.
        type: str
        required: true
      address:
        description: Its host name or address.
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
  listen_addresses:
    description: Addresses of this host to listen on.
    type: list
    elements: str
    default: ["0.0.0.0", "::"]
  port:
    description: Port for TLS.
    type: int
    default: 443
  redirect_port:
    description: Port that sends plain HTTP there, V(0) for none.
    type: int
    default: 80
  certificate:
    description: File of the certificate and those between it and its authority, or V("").
    type: str
    default: ""
  key:
    description: File of its key, or V("").
    type: str
    default: ""
  acme_directory:
    description: Directory of an ACME client that the files are from, or V("").
    type: str
    default: ""
  acme_webroot:
    description: Directory of an ACME client's challenges, or V("").
    type: str
    default: ""
  private_authority:
    description: Whether the role makes the certificate, which is then not looked at.
    type: bool
    default: false
  hsts_max_age:
    description: Seconds that browsers are to insist on TLS for.
    type: int
    default: 0
  max_body_size:
    description: Largest body in nginx's notation.
    type: str
    default: "0"
  timeout:
    description: Seconds that a client or server may be silent.
    type: int
    default: 3600
  snippets:
    description: Files to write for other proxies, by kind.
    type: dict
    default: {}
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  platform:
    platforms: posix
    details: Linux only.
"""

EXAMPLES = r"""
- name: Preflight | Judge the inputs on this host
  selfhosted.mlflow.proxy_preflight:
    names: [ml.example.org]
    servers:
      - {name: ml1, address: 10.0.0.7, port: 5000}
    certificate: /etc/letsencrypt/live/ml.example.org/fullchain.pem
    key: /etc/letsencrypt/live/ml.example.org/privkey.pem
"""

RETURN = r"""
nginx_missing:
  description: Whether nginx is yet to be installed.
  returned: success
  type: bool
certificate_missing:
  description: Whether one of the files is not there (yet), as before the role has made them.
  returned: success
  type: bool
listen:
  description: Addresses to listen on as nginx writes them.
  returned: success
  type: list
  elements: str
  sample: ["0.0.0.0", "[::]"]
problems:
  description: What is wrong.
  returned: failure
  type: list
  elements: dict
  contains:
    found:
      description: The input and its value, or the state of the host.
      type: str
    why:
      description: What would go wrong.
      type: str
    instead:
      description: What to write or do.
      type: str
"""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.mlflow.plugins.module_utils import (
    certificate,
    listeners,
    name_service,
    nginx_config,
    proxy_rules,
)
from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import render


def included() -> bool:
    """Whether nginx's main file takes the role's in; where there is none yet, the package's will."""
    try:
        with open(nginx_config.MAIN, encoding="utf-8", errors="surrogateescape") as stream:
            nginx_config.with_candidate(stream.read(), nginx_config.DIRECTORY, nginx_config.OURS, "", lambda _path: ())
    except FileNotFoundError:
        return True
    except nginx_config.NotIncludedError:
        return False
    return True


def pair(wish: proxy_rules.Wish, module: AnsibleModule) -> Optional[certificate.Pair]:
    """Look at the user's own certificate."""
    if not wish.nginx or wish.private_authority or not (wish.certificate and wish.key):
        return None

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        code, out, err = module.run_command([*command])
        return code, out, err

    if module.get_bin_path("openssl") is None:
        return certificate.Pair()
    return certificate.look(wish.certificate, wish.key, run)


def main() -> None:
    """Gather the evidence, judge, and fail with everything that is wrong."""
    text, names = {"type": "str", "default": ""}, {"type": "list", "elements": "str"}
    needed = {"type": "str", "required": True}
    server = {"name": needed, "address": needed, "port": {"type": "int", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "nginx": {"type": "bool", "default": True},
            "names": {**names, "required": True},
            "static_prefix": text,
            "servers": {"type": "list", "elements": "dict", "required": True, "options": server},
            "listen_addresses": {**names, "default": ["0.0.0.0", "::"]},
            "port": {"type": "int", "default": 443},
            "redirect_port": {"type": "int", "default": 80},
            "certificate": text,
            "key": {**text, "no_log": False},
            "acme_directory": text,
            "acme_webroot": text,
            "private_authority": {"type": "bool", "default": False},
            "hsts_max_age": {"type": "int", "default": 0},
            "max_body_size": {"type": "str", "default": "0"},
            "timeout": {"type": "int", "default": 3600},
            "snippets": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in module.params.items()
    }
    given["servers"] = tuple(proxy_rules.Server(**one) for one in module.params["servers"])
    given["snippets"] = tuple(module.params["snippets"].items())
    wish = proxy_rules.Wish(**given)
    has_ipv6 = os.path.exists("/proc/net/if_inet6")
    evidence = proxy_rules.Evidence(
        systemd=os.path.isdir("/run/systemd/system"),
        openssl=module.get_bin_path("openssl") is not None,
        nginx=module.get_bin_path("nginx") is not None,
        included=included(),
        now=time.time(),
    )
    if wish.nginx:
        ports = {*wish.ports, *(() if evidence.nginx else (proxy_rules.PACKAGE_PORT,))}
        evidence = replace(
            evidence,
            listeners=tuple(one for port in sorted(ports) for one in listeners.on_port(port)),
            addresses_elsewhere=tuple(
                one for one in wish.listen_addresses if not name_service.is_here(one) and (one != "::" or has_ipv6)
            ),
            pair=pair(wish, module),
        )
    problems = proxy_rules.judge(wish, evidence)
    if problems:
        module.fail_json(msg=render(problems), problems=[asdict(problem) for problem in problems])
    if evidence.pair and evidence.pair.certificate:
        soon = certificate.warning(wish.certificate, evidence.pair.certificate, evidence.now)
        if soon:
            module.warn(soon)
    module.exit_json(
        changed=False,
        nginx_missing=not evidence.nginx,
        certificate_missing=not all(os.path.exists(path) for path in (wish.certificate, wish.key)),
        listen=proxy_rules.listened_to(wish, has_ipv6),
    )


if __name__ == "__main__":
    main()
