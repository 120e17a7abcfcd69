# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask MLflow's REST API, and say what to do when it doesn't answer.

On ansible.module_utils.urls, which knows proxies, certificates and sockets.  Every answer is bounded in
bytes and seconds, no redirect is followed (credentials would go along), ~/.netrc is left alone.
Every method raises tracking_errors.ApiError.

Source: MLflow's "REST API".
"""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit

from ansible.module_utils.urls import Request

from ansible_collections.selfhosted.mlflow.plugins.module_utils import tracking_errors
from ansible_collections.selfhosted.mlflow.plugins.module_utils.tracking_errors import CONTROL, Asked

_AGENT = "selfhosted.mlflow"
_CHUNK = 65536
_MEBIBYTE = 1024 * 1024
#: More than MLflow's largest page of experiments or runs takes.
MAX_ANSWER_BYTES = 64 * _MEBIBYTE
MAX_PAGES = 1000
_ADDRESS = "tracking_uri must be the server's address, for example http://mlflow.example.org:5000"
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"


#: What modules are told to reach the API, as the documentation fragment ``tracking`` has it.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "tracking_uri": {"type": "str", "required": True},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "token": {"type": "str", "default": "", "no_log": True},
    "ca_bundle": {"type": "str", "default": ""},
}


@dataclass(frozen=True)
class Access:
    """How to reach a tracking server: ``uri`` as clients are told, with its static prefix.

    ``timeout`` is in seconds and for one answer, ``duration`` for all that is asked together.
    ``ca_bundle`` is a file of certificates, '' for the system's.  ``host_header`` is the name to ask for, '' for the
    address' own.
    """

    uri: str
    username: str = ""
    # Not in a traceback.
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_bundle: str = ""
    timeout: float = 30.0
    duration: float = 300.0
    host_header: str = ""

    def problem(self) -> str:
        """Return what is wrong with these inputs, or ''; never with a credential in it."""
        try:
            parts = urlsplit(self.uri)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            return _ADDRESS
        odd = CONTROL.search(self.uri) or " " in self.uri
        rules = (
            (usable and not odd, _ADDRESS),
            (
                not ("@" in parts.netloc or parts.query or parts.fragment),
                "tracking_uri must hold neither credentials nor a query: give username and password, or token",
            ),
            (not (self.token and (self.username or self.password)), "give either token, or username and password"),
            (bool(self.username) == bool(self.password), "one of username and password is empty"),
            (
                not CONTROL.search(self.username + self.password + self.token) and ":" not in self.username,
                "username, password or token has a character that can't be sent",
            ),
            (self.timeout > 0 and self.duration > 0, "timeouts must be greater than 0 seconds"),
        )
        return next((problem for fine, problem in rules if not fine), "")

    @property
    def has_credentials(self) -> bool:
        """Whether any were given."""
        return bool(self.username or self.token)


@dataclass(frozen=True)
class Served:
    """A file as the server served it: its ``sha256`` in hexadecimal, its ``size`` in bytes."""

    sha256: str
    size: int


class TrackingApi:
    """The REST API of one tracking server, for at most ``access.duration`` seconds from now."""

    def __init__(self, access: Access, workspace: str = "") -> None:
        self.access = access
        self.base = access.uri.rstrip("/")
        self._asked = Asked(self.base, access.ca_bundle, access.has_credentials, (access.password, access.token))
        self._workspace = workspace
        self._deadline = time.monotonic() + access.duration

    def in_workspace(self, workspace: str) -> TrackingApi:
        """Return the same API as one workspace shows it, with the same end of its time."""
        other = TrackingApi(self.access, workspace)
        other._deadline = self._deadline
        return other

    def get(self, path: str, query: Optional[Mapping[str, str]] = None) -> dict[str, Any]:
        """Ask for ``path`` below the server's address."""
        return self._json("GET", path, self._url(path, query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON body to ``path``."""
        return self._json("POST", path, self._url(path), json.dumps(body).encode())

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a JSON body to ``path`` with another method, such as PATCH."""
        return self._json(method, path, self._url(path), json.dumps(body).encode())

    def items(self, path: str, body: Mapping[str, Any], key: str, limit: int) -> Iterator[dict[str, Any]]:
        """Yield the objects in ``key`` of all pages, ``limit`` at most."""
        token, seen, count = "", set(), 0
        for _page in range(MAX_PAGES):
            answer = self.post(path, {**body, **({"page_token": token} if token else {})})
            listed = answer.get(key, [])
            if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
                raise tracking_errors.strange(self._url(path), f"'{key}' is no list of objects")
            for item in listed:
                if count >= limit:
                    return
                count += 1
                yield item
            token = str(answer.get("next_page_token") or "")
            if not token:
                return
            if token in seen:
                raise tracking_errors.strange(self._url(path), "the same page came twice")
            seen.add(token)
        raise tracking_errors.strange(self._url(path), f"there are more than {MAX_PAGES} pages")

    def version(self) -> str:
        """Return the server's release as it says it; it asks nobody for credentials."""
        answer = b"".join(self._chunks("GET", self._url("version"), None, _CHUNK))
        return self._asked.excerpt(answer)

    def download(self, path: str, query: Mapping[str, str], max_bytes: int) -> Served:
        """Fetch a file and return what it is; nothing is kept."""
        digest, size = hashlib.sha256(), 0
        for chunk in self._chunks("GET", self._url(path, query), None, max_bytes):
            digest.update(chunk)
            size += len(chunk)
        return Served(digest.hexdigest(), size)

    def _url(self, path: str, query: Optional[Mapping[str, str]] = None) -> str:
        return f"{self.base}/{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def _json(self, method: str, path: str, url: str, body: Optional[bytes] = None) -> dict[str, Any]:
        raw = b"".join(self._chunks(method, url, body, MAX_ANSWER_BYTES))
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise tracking_errors.strange(self._url(path), f"it begins with {self._asked.excerpt(raw)!r}")
        return answer

    def _open(self, method: str, url: str, body: Optional[bytes], timeout: float) -> Any:
        access = self.access
        headers = {"Accept": "*/*", **({"Content-Type": "application/json"} if body is not None else {})}
        if access.host_header:
            headers["Host"] = access.host_header
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        if self._workspace:
            headers[WORKSPACE_HEADER] = self._workspace
        return Request().open(
            method,
            url,
            data=body,
            headers=headers,
            timeout=timeout,
            url_username=access.username or None,
            url_password=access.password or None,
            force_basic_auth=bool(access.username),
            ca_path=access.ca_bundle or None,
            follow_redirects="none",
            use_netrc=False,
            http_agent=_AGENT,
        )

    def _chunks(self, method: str, url: str, body: Optional[bytes], limit: int) -> Iterator[bytes]:
        """Yield an answer's body.  The end of the time is looked at between chunks, for a server may drip."""
        end = min(self._deadline, time.monotonic() + self.access.timeout)
        left, count = end - time.monotonic(), 0
        if left <= 0:
            raise tracking_errors.silent(self._asked, self.access.duration)
        try:
            with self._open(method, url, body, left) as response:
                # read1() waits for some bytes, read() for all it was asked for.
                for chunk in iter(lambda: response.read1(_CHUNK), b""):
                    count += len(chunk)
                    if count > limit:
                        raise tracking_errors.strange(url.partition("?")[0], f"it has more than {limit} bytes")
                    if time.monotonic() > end:
                        raise TimeoutError
                    yield chunk
        except HTTPError as error:
            raise self._refused(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._unreachable(error) from None

    def _refused(self, error: HTTPError) -> tracking_errors.ApiError:
        with error:
            try:
                raw = error.read(_CHUNK)
            except (OSError, http.client.HTTPException, ValueError):
                raw = b""
        location = str(error.headers.get("Location") or "") if error.headers else ""
        return tracking_errors.refused(self._asked, error.code, raw, location)

    def _unreachable(self, error: Exception) -> tracking_errors.ApiError:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, (TimeoutError, socket.timeout)):
            return tracking_errors.silent(self._asked, self.access.timeout)
        return tracking_errors.unreachable(self._asked, cause)
