# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it means when Nomad's HTTP API gives no usable answer, and what to do.

Texts and capabilities as in the source of Nomad 2.0 (nomad/structs/errors.go, the ACL checks of each endpoint).
No message holds the token: the text of an error of the HTTP library may, so none is passed on.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SHOWN = 1000
#: What marks an answer as that of a web server or proxy, and not as Nomad's plain text.
_PAGE = re.compile(rb"\s*<(!doctype|html|head|body|h1|\?xml)", re.IGNORECASE)
_LOOK_AT_THE_AGENT = "on that host: `systemctl status nomad` and `journalctl -u nomad`"

_SUBMIT = 'namespace "{0}" {{ capabilities = ["submit-job"] }}'
_READ = 'namespace "{0}" {{ capabilities = ["read-job"] }}'
#: Which rights a call wants: method, path, and what a policy must say, with the namespace for {0}.
_RIGHTS = (
    ("PUT|POST", r"/v1/jobs/parse", _SUBMIT),
    ("PUT|POST", r"/v1/validate/job", _READ),
    ("PUT|POST", r"/v1/job/.+/plan", _SUBMIT),
    ("PUT|POST", r"/v1/jobs", _SUBMIT + ', and host_volume "NAME" {{ policy = "write" }} for each host volume of it'),
    ("PUT|POST|DELETE", r"/v1/job/.+", _SUBMIT),
    ("GET", r"/v1/(job|evaluation|allocation|deployment)s?(/.+)?", _READ),
    ("GET", r"/v1/client/fs/logs/.+", 'namespace "{0}" {{ capabilities = ["read-logs"] }}'),
    ("GET", r"/v1/client/fs/.+", 'namespace "{0}" {{ capabilities = ["read-fs"] }}'),
    ("GET", r"/v1/nodes?(/.+)?", 'node {{ policy = "read" }}'),
    ("PUT|POST|DELETE", r"/v1/node/.+", 'node {{ policy = "write" }}'),
    ("GET", r"/v1/agent/.+", 'agent {{ policy = "read" }}'),
    ("PUT|POST", r"/v1/agent/.+", 'agent {{ policy = "write" }}'),
    ("GET", r"/v1/volumes?(/.+)?", 'namespace "{0}" {{ capabilities = ["host-volume-read"] }}'),
    ("PUT|POST|DELETE", r"/v1/volumes?(/.+)?", 'namespace "{0}" {{ capabilities = ["host-volume-write"] }}'),
    ("GET", r"/v1/vars?(/.+)?", 'namespace "{0}" {{ variables {{ path "*" {{ capabilities = ["list", "read"] }} }} }}'),
)


class NomadError(Exception):
    """The API gave no usable answer.

    ``status`` is the HTTP status, 0 without an answer; ``reason`` one word for programs (such as ``refused``),
    ``text`` what Nomad itself said or ''.  Message and remedy hold no token.
    """

    def __init__(self, reason: str, message: str, remedy: str, status: int = 0, text: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.remedy = remedy
        self.status = status
        self.text = text

    def explain(self) -> str:
        """Return message and remedy as one text for a person."""
        return f"{self}.\n    instead: {self.remedy}."


@dataclass(frozen=True)
class Call:
    """What was asked: ``base`` is the agent's address, ``secrets`` what may not be repeated."""

    base: str
    method: str
    path: str
    namespace: str = ""
    ca_bundle: str = ""
    has_certificate: bool = False
    has_token: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.base}{self.path}"

    @property
    def rights(self) -> str:
        """What a policy must say for the call to be allowed, '' where it isn't known."""
        for methods, path, policy in _RIGHTS:
            if self.method in methods.split("|") and re.fullmatch(path, self.path):
                return policy.format(self.namespace or "default")
        return ""

    def excerpt(self, raw: bytes) -> str:
        """Return the beginning of an answer for a person, without the token where it repeats that."""
        text = raw.decode("utf-8", "replace")
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        text = " ".join(CONTROL.sub(" ", text).split())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def strange(call: Call, what: str, status: int = http.client.OK) -> NomadError:
    """Return the error of an answer that Nomad would not give."""
    return NomadError(
        "strange",
        f"{call} answers something that is not Nomad's: {what}",
        "give the address of a Nomad agent's HTTP API, such as http://127.0.0.1:4646, and not that of a log-in page",
        status,
    )


def silent(call: Call, seconds: float) -> NomadError:
    """Return the error of an answer that did not come in time."""
    remedy = f"{_LOOK_AT_THE_AGENT}; is there a firewall between, or a proxy in the environment?"
    return NomadError("timed_out", f"{call} gave no answer within {seconds:g} s", remedy)


def _forbidden(call: Call, text: str) -> NomadError:
    message = f"{call} answers 403: {text or 'nothing'}"
    if "disabled by the scheduler configuration" in text:
        remedy = "use a management token, or let the operator run `nomad operator scheduler set-config` to allow it"
        return NomadError("disabled", message, remedy, http.client.FORBIDDEN, text)
    if text.startswith("ACL token"):
        remedy = "give the secret id of a token that this cluster knows and that has not expired"
        return NomadError("token", message, remedy, http.client.FORBIDDEN, text)
    # Of a token that it doesn't know Nomad 2.0 says the same.
    who = "this cluster must know the token, and its policies" if call.has_token else "no token was given: its policies"
    wanted = f"must have {call.rights}" if call.rights else "must allow this call"
    return NomadError("forbidden", message, f"{who} {wanted}", http.client.FORBIDDEN, text)


def _redirected(call: Call, status: int, location: str) -> NomadError:
    target = urlsplit(location)
    place = f"{target.scheme}://{target.hostname}{target.path}" if target.hostname else target.path
    return NomadError(
        "redirected",
        f"{call} answers {status} and leads to {place or 'nowhere'}",
        "give the address that answers by itself: redirects aren't followed, for the token would go along",
        status,
    )


def _broken(call: Call, status: int, text: str) -> NomadError:
    """Return the error of a server that is at fault."""
    message = f"{call} answers {status}: {text or 'nothing'}"
    rules = (
        (
            "No cluster leader",
            "no_leader",
            "the servers have no leader: start enough of them for a majority, see `nomad server members`",
        ),
        (
            "No path to region",
            "region",
            "give the region that the agent has in its configuration, or leave it out",
        ),
        (
            "No path to node",
            "node",
            "the Nomad client of that node is not connected: see `nomad node status`",
        ),
    )
    for said, reason, remedy in rules:
        if said in text:
            return NomadError(reason, message, remedy, status, text)
    return NomadError("failed", message, _LOOK_AT_THE_AGENT, status, text)


def _status(call: Call, status: int, text: str) -> NomadError:
    """Return what a status with a text of Nomad's means."""
    if status == http.client.FORBIDDEN:
        return _forbidden(call, text)
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return _broken(call, status, text)
    message = f"{call} answers {status}: {text or 'nothing'}"
    if status == http.client.NOT_FOUND:
        # What Nomad doesn't route it answers without a text.
        remedy = "check the name and the namespace" if text else "check the address: Nomad's API is not there"
        return NomadError("not_found", message, remedy, status, text)
    return NomadError("rejected", message, "change what Nomad objects to", status, text)


def refused(call: Call, status: int, raw: bytes, location: str = "") -> NomadError:
    """Return what an HTTP status other than success means; ``raw`` is the body, ``location`` where it leads."""
    text = call.excerpt(raw)
    if "HTTP request to an HTTPS server" in text:
        message = f"{call.base} speaks TLS on this port, and was asked without"
        return NomadError("tls", message, "write https:// instead of http://", status)
    if http.client.MULTIPLE_CHOICES <= status < http.client.BAD_REQUEST:
        return _redirected(call, status, location)
    if _PAGE.match(raw):
        return strange(call, f"status {status}, {text!r}", status)
    return _status(call, status, text)


def _certificate(call: Call, cause: ssl.SSLCertVerificationError) -> tuple[str, str, str]:
    against = call.ca_bundle or "the system's certificates"
    message = f"the certificate of {call.base} is not trusted ({cause.verify_message}), checked against {against}"
    if "match" in cause.verify_message:
        remedy = "set tls_server_name to a name that the certificate is for: Nomad's own are for server.REGION.nomad"
    else:
        remedy = "set ca_bundle to a file with the certificate of the authority that signed it, as PEM"
    return "certificate", message, remedy


def _tls(call: Call, cause: ssl.SSLError) -> tuple[str, str, str]:
    """Return reason, message and remedy of a TLS connection that failed."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(call, cause)
    why = cause.reason or "unknown reason"
    if re.search("CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE", why):
        given = "does not accept the client certificate" if call.has_certificate else "wants a client certificate"
        remedy = "set client_cert and client_key to a pair that Nomad's own authority has signed (verify_https_client)"
        return "client_certificate", f"{call.base} {given} ({why})", remedy
    remedy = "if Nomad speaks plain HTTP on this port, write http:// instead of https://"
    return "tls", f"no TLS connection to {call.base}: {why}", remedy


def _closed(call: Call) -> str:
    """Return what to do about a connection that ended.  An agent's alert may come too late to be read."""
    if call.base.startswith("http:"):
        return "if Nomad speaks TLS on this port, write https:// instead of http://"
    return "if Nomad wants a client certificate (verify_https_client), set client_cert and client_key to one it accepts"


def unreachable(call: Call, cause: Any) -> NomadError:
    """Return what a failure without an answer means."""
    base = call.base
    ended = (http.client.HTTPException, ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ended):
        told = _tls(call, cause)
    elif isinstance(cause, socket.gaierror):
        told = (
            "name",
            f"the name {urlsplit(base).hostname} of {base} is not known here",
            "add it to DNS or /etc/hosts",
        )
    elif isinstance(cause, ConnectionRefusedError):
        told = (
            "refused",
            f"{base} refuses connections: nothing listens there",
            f"check address and port, and that Nomad runs; {_LOOK_AT_THE_AGENT}",
        )
    elif isinstance(cause, ended):
        what = f"{base} closed the connection without an answer ({type(cause).__name__})"
        told = ("closed", what, _closed(call))
    elif isinstance(cause, OSError) and cause.strerror:
        what = f"{base} can't be reached: {cause.strerror}"
        told = ("network", what, "check route and firewall between this host and the agent")
    else:
        told = ("unknown", f"{base} can't be reached ({type(cause).__name__})", "check the address and proxy settings")
    return NomadError(*told)


def unusable_file(what: str, path: str, why: str) -> NomadError:
    """Return the error of a certificate or key that can't be used; ``what`` is the option."""
    return NomadError("file", f"{what} is {path}, which can't be used: {why}", f"put a PEM file for {what} there first")
