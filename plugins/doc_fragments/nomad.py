# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules reach Nomad's HTTP API; nomad_api.arguments() holds the same for the modules' code."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``selfhosted.mlflow.nomad``."""

    DOCUMENTATION = r"""
options:
  address:
    description:
      - Address of the HTTP API of a Nomad agent, server or client. Redirects aren't followed and proxies of the
        environment aren't used, for the token would go along.
    type: str
    default: http://127.0.0.1:4646
  token:
    description: Secret id of an ACL token, where ACLs are on. Sent as a header, never in an address.
    type: str
    default: ""
  ca_bundle:
    description: File of CA certificates on this host that the agent's is checked against. Empty means the system's.
    type: str
    default: ""
  client_cert:
    description: File with a client certificate on this host, where Nomad has C(verify_https_client) set.
    type: str
    default: ""
  client_key:
    description: File with the key of O(client_cert), without a passphrase.
    type: str
    default: ""
  tls_server_name:
    description:
      - Name in the agent's certificate, where it isn't that of O(address). Nomad's own certificates are for names
        such as V(server.global.nomad).
    type: str
    default: ""
  namespace:
    description: Nomad's namespace. Empty means the default one.
    type: str
    default: ""
  region:
    description: Nomad's region. Empty means that of the agent.
    type: str
    default: ""
  timeout:
    description: Seconds to wait for the answer to one call.
    type: float
    default: 30
"""
