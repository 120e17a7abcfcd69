# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it means when MLflow's REST API gives no usable answer, and what to do.

Statuses and texts as seen on MLflow 3.17.2.  No message holds a credential: the text of an error of the
HTTP library may, so none is passed on.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.parse import urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, Finding

CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_SHOWN = 200
_LOOK_AT_THE_SERVER = "on the server: `systemctl status mlflow.service` and `journalctl -u mlflow.service`"


class ApiError(Exception):
    """The API gave no usable answer.

    ``name`` is the class of the finding, ``reason`` one word for programs (such as ``refused``),
    ``code`` MLflow's own error code or ''.  Message and remedy hold no credentials.
    """

    def __init__(self, name: str, reason: str, message: str, remedy: str, code: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.reason = reason
        self.remedy = remedy
        self.code = code

    def finding(self) -> Finding:
        """Return the error as a finding."""
        return Finding(self.name, ERROR, str(self), self.remedy, {"reason": self.reason})


@dataclass(frozen=True)
class Asked:
    """Whom was asked: ``base`` is the server's address, ``secrets`` what may not be repeated."""

    base: str
    ca_bundle: str = ""
    has_credentials: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def excerpt(self, raw: bytes) -> str:
        """Return the beginning of an answer for a person, without credentials that it repeats."""
        text = raw.decode("utf-8", "replace")
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        text = " ".join(CONTROL.sub(" ", text).split())
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def strange(url: str, what: str) -> ApiError:
    """Return the error of an answer that MLflow would not give."""
    return ApiError(
        "api_wrong_address",
        "strange",
        f"{url} answers something that is not MLflow's: {what}",
        "give the address that MLflow's clients use, with its static prefix, and not that of a proxy's log-in page",
    )


def silent(asked: Asked, seconds: float) -> ApiError:
    """Return the error of an answer that did not come in time."""
    remedy = f"{_LOOK_AT_THE_SERVER}; is there a firewall between, or a proxy in the environment?"
    return ApiError("api_unreachable", "timed_out", f"{asked.base} gave no answer within {seconds:g} s", remedy)


def _mlflow_error(raw: bytes) -> tuple[str, str]:
    """Return MLflow's own code and message in the body of an error, or twice ''."""
    try:
        body = json.loads(raw)
        return str(body["error_code"]), str(body.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _unauthorized(asked: Asked) -> ApiError:
    given = "those given are not accepted" if asked.has_credentials else "none were given"
    remedy = "give username and password, or a token, of an account that may see all experiments"
    return ApiError("api_refused", "unauthorized", f"{asked.base} answers 401, it wants credentials: {given}", remedy)


def _forbidden(asked: Asked, text: str, code: str) -> ApiError:
    if "invalid host header" not in text.lower():
        message = f"{asked.base} answers 403: {text}"
        return ApiError("api_refused", "forbidden", message, "use an account of an administrator of MLflow", code)
    host = urlsplit(asked.base).netloc
    return ApiError(
        "api_refused",
        "host",
        f"{asked.base} answers 403 Invalid Host header: the server does not know the name {host!r} as its own",
        f"add {host!r} to mlflow_server_allowed_hosts (it refuses clients that use this name as well), "
        "or use a name that is among them",
    )


def _redirected(asked: Asked, status: int, location: str) -> ApiError:
    target = urlsplit(location)
    place = f"{target.scheme}://{target.hostname}{target.path}" if target.hostname else target.path
    return ApiError(
        "api_wrong_address",
        "redirected",
        f"{asked.base} answers {status} and leads to {place or 'nowhere'}",
        "give the address that answers by itself: redirects aren't followed, for credentials would go along",
    )


def refused(asked: Asked, status: int, raw: bytes, location: str = "") -> ApiError:
    """Return what an HTTP status other than success means; ``raw`` is the body, ``location`` where it leads."""
    code, said = _mlflow_error(raw)
    text = asked.excerpt(said.encode("utf-8", "replace") or raw)
    if status == http.client.UNAUTHORIZED:
        return _unauthorized(asked)
    if status == http.client.FORBIDDEN:
        return _forbidden(asked, text, code)
    if http.client.MULTIPLE_CHOICES <= status < http.client.BAD_REQUEST:
        return _redirected(asked, status, location)
    if status == http.client.NOT_FOUND and not code:
        message = f"{asked.base} answers 404: no MLflow API is there"
        remedy = (
            "check the port, and the static prefix at the end of the address (mlflow_server_static_prefix);"
            " MLflow before 3.12 has its API without the prefix"
        )
        return ApiError("api_wrong_address", "not_found", message, remedy)
    message = f"{asked.base} answers {status}: {text or 'nothing'}"
    return ApiError("api_failed", "status", message, _LOOK_AT_THE_SERVER, code)


def _tls(asked: Asked, cause: ssl.SSLError) -> tuple[str, str, str]:
    """Return reason, message and remedy of a TLS connection that failed."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        against = asked.ca_bundle or "the system's certificates"
        return (
            "certificate",
            f"the certificate of {asked.base} is not trusted ({cause.verify_message}), checked against {against}",
            "set mlflow_ca_bundle to a file with the authority's certificate, and use a name the certificate is for",
        )
    if asked.ca_bundle and "NO_CERTIFICATE" in (cause.reason or ""):
        return "ca_bundle", f"{asked.ca_bundle} holds no certificate", "put the authority's certificate there, as PEM"
    what = f"no TLS connection to {asked.base}: {cause.reason or 'the connection ended'}"
    return "tls", what, "if the server speaks plain HTTP on this port, write http:// instead of https://"


def unreachable(asked: Asked, cause: Any) -> ApiError:
    """Return what a failure without an answer means."""
    base = asked.base
    told: Optional[tuple[str, str, str]] = None
    if isinstance(cause, ssl.SSLError):
        told = _tls(asked, cause)
    elif isinstance(cause, socket.gaierror):
        name = urlsplit(base).hostname
        told = ("name", f"the name {name} of {base} is not known here", "add it to DNS or /etc/hosts")
    elif isinstance(cause, ConnectionRefusedError):
        told = (
            "refused",
            f"{base} refuses connections: nothing listens there",
            f"check the port; {_LOOK_AT_THE_SERVER}",
        )
    elif isinstance(cause, FileNotFoundError) and asked.ca_bundle:
        told = ("ca_bundle", f"there is no file {asked.ca_bundle} on this host", "copy the CA certificates there first")
    elif isinstance(cause, (http.client.HTTPException, ConnectionError)):
        what = f"{base} closed the connection without an answer ({type(cause).__name__})"
        told = ("closed", what, "if the server speaks TLS on this port, write https:// instead of http://")
    elif isinstance(cause, OSError) and cause.strerror:
        what = f"{base} can't be reached: {cause.strerror}"
        told = ("network", what, "check route and firewall between this host and the server")
    else:
        told = ("unknown", f"{base} can't be reached ({type(cause).__name__})", "check the address and proxy settings")
    return ApiError("api_unreachable", *told)
