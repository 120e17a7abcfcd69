# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Nomad's HTTP API, and say what to do when it doesn't answer.

On http.client, for Ansible's own client knows no TLS server name, and Nomad's certificates are for names such as
server.global.nomad.  A call as a whole is bounded in seconds and its answer in bytes.  Redirects aren't followed and
proxies of the environment aren't used: the token would go along.  Every method raises nomad_errors.NomadError.

Source: Nomad's "HTTP API".
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union
from urllib.parse import quote, urlencode, urlsplit

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_errors
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nomad_errors import CONTROL, Call, NomadError

_AGENT = "selfhosted.mlflow"
_CHUNK = 65536
_MEBIBYTE = 1024 * 1024
#: More than Nomad's list of a job's allocations takes.
MAX_ANSWER_BYTES = 64 * _MEBIBYTE
_ADDRESS = "address must be that of an agent's HTTP API, for example http://127.0.0.1:4646"


@dataclass(frozen=True)
class Access:
    """How to reach Nomad: ``address`` is an agent's, server or client.

    ``ca_bundle``, ``client_cert`` and ``client_key`` are files, '' for the system's authorities and no certificate.
    ``tls_server_name`` is the name in the agent's certificate where it isn't that of the address.
    ``namespace`` and ``region`` are '' for Nomad's own defaults.  ``timeout`` is in seconds and for one call.
    """

    address: str
    # Not in a traceback.
    token: str = field(default="", repr=False)
    ca_bundle: str = ""
    client_cert: str = ""
    client_key: str = ""
    tls_server_name: str = ""
    namespace: str = ""
    region: str = ""
    timeout: float = 30.0

    def problem(self) -> str:
        """Return what is wrong with these inputs, or ''; never with the token in it."""
        try:
            parts = urlsplit(self.address)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            return _ADDRESS
        odd = CONTROL.search(self.address) or " " in self.address
        plain = parts.scheme == "http"
        rules = (
            (usable and not odd, _ADDRESS),
            (
                not ("@" in parts.netloc or parts.query or parts.fragment),
                "address must hold neither credentials nor a query: give the token as token",
            ),
            (
                bool(self.client_cert) == bool(self.client_key),
                "give both client_cert and client_key, or neither",
            ),
            (
                not (plain and (self.ca_bundle or self.client_cert or self.tls_server_name)),
                "address begins with http://, so that no certificate would be used: write https://",
            ),
            (
                self.token.isascii() and not CONTROL.search(self.token) and " " not in self.token,
                "token has a character that can't be sent",
            ),
            (self.timeout > 0, "timeout must be greater than 0 seconds"),
        )
        return next((problem for fine, problem in rules if not fine), "")


def arguments() -> dict[str, dict[str, Any]]:
    """Return what modules are told to reach the API, as the documentation fragment ``nomad`` has it."""
    return {
        "address": {"type": "str", "default": "http://127.0.0.1:4646"},
        "token": {"type": "str", "default": "", "no_log": True},
        "ca_bundle": {"type": "str", "default": ""},
        "client_cert": {"type": "str", "default": ""},
        "client_key": {"type": "str", "default": "", "no_log": False},
        "tls_server_name": {"type": "str", "default": ""},
        "namespace": {"type": "str", "default": ""},
        "region": {"type": "str", "default": ""},
        "timeout": {"type": "float", "default": 30},
    }


def access(params: Mapping[str, Any]) -> Access:
    """Return the access that a module with these arguments was given."""
    return Access(**{name: params[name] for name in arguments()})


def segment(name: str) -> str:
    """Return a name, such as a job's, as one part of a path."""
    return quote(name, safe="")


class _Context(ssl.SSLContext):
    """Checks a certificate for another name than that of the address."""

    name = ""

    # The parent's own arguments, whatever they are on this Python.
    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        if self.name:
            options["server_hostname"] = self.name
        return super().wrap_socket(*arguments, **options)


def _why(error: Exception) -> str:
    """Return why a file can't be used; OpenSSL's own words name neither file nor reason."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.strerror:
        return error.strerror
    return "it holds no such thing in PEM, or one that needs a passphrase"


def _no_passphrase() -> bytes:
    raise ValueError("a passphrase is needed")


def _context(wanted: Access) -> ssl.SSLContext:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.name = wanted.tls_server_name
    try:
        if wanted.ca_bundle:
            context.load_verify_locations(cafile=wanted.ca_bundle)
        else:
            context.load_default_certs()
    except (OSError, ValueError) as error:
        raise nomad_errors.unusable_file("ca_bundle", wanted.ca_bundle, _why(error)) from None
    if wanted.client_cert:
        pair = f"{wanted.client_cert} with the key {wanted.client_key}"
        try:
            # Without a callback OpenSSL would ask on the terminal.
            context.load_cert_chain(wanted.client_cert, wanted.client_key, _no_passphrase)
        except (OSError, ValueError) as error:
            raise nomad_errors.unusable_file("client_cert", pair, _why(error)) from None
    return context


class NomadApi:
    """The HTTP API of one Nomad agent."""

    def __init__(self, wanted: Access) -> None:
        self.access = wanted
        self.base = wanted.address.rstrip("/")
        self._context: Optional[ssl.SSLContext] = None

    def in_namespace(self, namespace: str) -> NomadApi:
        """Return the same API for another namespace."""
        return NomadApi(replace(self.access, namespace=namespace))

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> Any:
        """Ask for ``path``, which begins with /v1/; None is Nomad's null."""
        return self._json("GET", path, query)

    def put(self, path: str, body: Any = None, query: Optional[Mapping[str, str]] = None) -> Any:
        """Put a JSON body to ``path``."""
        return self._json("PUT", path, query, body)

    def post(self, path: str, body: Any = None, query: Optional[Mapping[str, str]] = None) -> Any:
        """Send a JSON body to ``path``."""
        return self._json("POST", path, query, body)

    def delete(self, path: str, query: Optional[Mapping[str, str]] = None) -> Any:
        """Delete what is at ``path``."""
        return self._json("DELETE", path, query)

    def text(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        """Return what is at ``path`` as text, such as a log."""
        return self._raw("GET", path, query).decode("utf-8", "replace")

    def _call(self, method: str, path: str) -> Call:
        known = self.access
        return Call(
            base=self.base,
            method=method,
            path=path,
            namespace=known.namespace,
            ca_bundle=known.ca_bundle,
            has_certificate=bool(known.client_cert),
            has_token=bool(known.token),
            secrets=(known.token,),
        )

    def _json(self, method: str, path: str, query: Optional[Mapping[str, str]], body: Any = None) -> Any:
        raw = self._raw(method, path, query, body)
        try:
            return json.loads(raw) if raw.strip() else None
        except ValueError:
            call = self._call(method, path)
            raise nomad_errors.strange(call, f"it begins with {call.excerpt(raw[:200])!r}") from None

    def _raw(self, method: str, path: str, query: Optional[Mapping[str, str]], body: Any = None) -> bytes:
        """Ask in a thread: a name that can't be resolved, or headers that drip, know no deadline."""
        answers: queue.Queue[Union[bytes, Exception]] = queue.Queue()
        call, end = self._call(method, path), time.monotonic() + self.access.timeout

        def ask() -> None:
            try:
                answers.put(self._answer(call, query, body, end))
            except (NomadError, OSError, http.client.HTTPException, ValueError) as error:
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=self.access.timeout)
        except queue.Empty:
            raise nomad_errors.silent(call, self.access.timeout) from None
        if isinstance(answer, bytes):
            return answer
        raise self._meaning(call, answer) from None

    def _meaning(self, call: Call, error: Exception) -> NomadError:
        if isinstance(error, NomadError):
            return error
        if isinstance(error, (TimeoutError, socket.timeout)):
            return nomad_errors.silent(call, self.access.timeout)
        return nomad_errors.unreachable(call, error)

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=seconds)
        if self._context is None:
            self._context = _context(self.access)
        return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=self._context)

    def _target(self, call: Call, query: Optional[Mapping[str, str]]) -> str:
        asked = {"namespace": self.access.namespace, "region": self.access.region, **(query or {})}
        given = {name: value for name, value in asked.items() if value}
        prefix = urlsplit(self.base).path
        return f"{prefix}{call.path}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")

    def _answer(self, call: Call, query: Optional[Mapping[str, str]], body: Any, end: float) -> bytes:
        headers = {"User-Agent": _AGENT, "Accept": "*/*", "Connection": "close"}
        if self.access.token:
            headers["X-Nomad-Token"] = self.access.token
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        with contextlib.closing(self._connection(max(0.001, end - time.monotonic()))) as connection:
            connection.request(call.method, self._target(call, query), data, headers)
            with connection.getresponse() as response:
                raw = b"".join(_chunks(call, response, end))
        if http.client.OK <= response.status < http.client.MULTIPLE_CHOICES:
            return raw
        raise nomad_errors.refused(call, response.status, raw, response.headers.get("Location") or "")


def _chunks(call: Call, response: http.client.HTTPResponse, end: float) -> Iterator[bytes]:
    """Yield an answer's body.  The end of the time is looked at between chunks, for a server may drip."""
    count = 0
    # read1() waits for some bytes, read() for all it was asked for.
    for chunk in iter(lambda: response.read1(_CHUNK), b""):
        count += len(chunk)
        if count > MAX_ANSWER_BYTES:
            raise nomad_errors.strange(call, f"it has more than {MAX_ANSWER_BYTES} bytes")
        if time.monotonic() > end:
            raise TimeoutError
        yield chunk
