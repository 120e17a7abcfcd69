# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server's certificate says, as OpenSSL's programs tell it, and why clients would refuse it.

OpenSSL and not a Python library, for a host that nothing was installed on is judged by it.
Source: openssl-x509(1), openssl-pkey(1); RFC 6125, section 6.4 (which names a certificate covers).
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

#: Clients are warned of nothing, so whoever deploys is.
SOON_SECONDS = 14 * 86400
_NAME = re.compile(r"(DNS|IP Address):([^,\s]+)")
_PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)

#: Runs a command, and returns its exit code, output and error output.
Run = Callable[[Sequence[str]], tuple[int, str, str]]


@dataclass(frozen=True)
class Certificate:
    """A certificate: ``names`` are its DNS names and addresses, times are seconds since 1970."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    public_key: str

    def covers(self, name: str) -> bool:
        """Whether clients that call the server by ``name`` accept it.

        An asterisk stands for the first label only; the subject's common name counts for nothing any more.
        """
        try:
            wanted = str(ipaddress.ip_address(name))
        except ValueError:
            wanted = name.lower()
            patterns = {f"*.{wanted.partition('.')[2]}", wanted}
            return any(known.lower() in patterns for known in self.names)
        return any(_address(known) == wanted for known in self.names)


@dataclass(frozen=True)
class Pair:
    """What was found of a certificate and its key; ``certificate_error`` and ``key_error`` say why one can't be read.

    ``public_key`` is that of the key; ``key_open_to`` names the file that every account of the host can read, or ''.
    """

    certificate: Optional[Certificate] = None
    certificate_error: str = ""
    public_key: str = ""
    key_error: str = ""
    key_open_to: str = ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def public_key(text: str) -> str:
    """Return the public key in what OpenSSL printed, ``''`` when there is none."""
    match = _PUBLIC_KEY.search(text)
    return match.group(0) if match else ""


def parse(text: str) -> Certificate:
    """Read what ``openssl x509`` prints for :func:`arguments`.

    Raises ValueError when a date or the key is missing.
    """
    lines = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"(subject|issuer|not\w+)=", line))
    if not {"notBefore", "notAfter"} <= lines.keys() or not public_key(text):
        raise ValueError("OpenSSL says neither when it is valid nor for which key")
    return Certificate(
        subject=lines.get("subject", "").strip(),
        issuer=lines.get("issuer", "").strip(),
        names=tuple(name for _kind, name in _NAME.findall(text)),
        not_before=ssl.cert_time_to_seconds(lines["notBefore"]),
        not_after=ssl.cert_time_to_seconds(lines["notAfter"]),
        public_key=public_key(text),
    )


def arguments(path: str) -> tuple[str, ...]:
    """Return the command that shows the first certificate of a file, which is the server's own."""
    shown = ("-noout", "-subject", "-issuer", "-startdate", "-enddate", "-ext", "subjectAltName", "-pubkey")
    return ("openssl", "x509", "-in", path, *shown)


def open_to_all(path: str) -> bool:
    """Whether every account can read a file: it lets them, and so do all directories above.  Raises OSError."""
    real = os.path.realpath(path)
    if not os.stat(real).st_mode & stat.S_IROTH:
        return False
    above = [real]
    while above[-1] != "/":
        above.append(os.path.dirname(above[-1]))
    return all(os.stat(directory).st_mode & stat.S_IXOTH for directory in above[1:])


def _unreadable(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            stream.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _complaint(error: str) -> str:
    return (error.strip().splitlines() or ["nothing was said"])[0]


def look(certificate_path: str, key_path: str, run: Run) -> Pair:
    """Return what is in the two files; ``run`` must not raise when a program fails."""
    certificate, certificate_error = None, _unreadable(certificate_path)
    if not certificate_error:
        code, out, error = run(arguments(certificate_path))
        try:
            certificate = parse(out)
        except ValueError as unclear:
            certificate_error = f"no certificate in PEM: {_complaint(error) if code else unclear}"
    key, key_open_to, key_error = "", "", _unreadable(key_path)
    if not key_error:
        # With an empty passphrase, for else an encrypted key would be asked about.
        code, out, error = run(("openssl", "pkey", "-in", key_path, "-pubout", "-passin", "pass:"))
        key = public_key(out)
        if code or not key:
            key_error = f"no key in PEM, or one with a passphrase: {_complaint(error)}"
        if open_to_all(key_path):
            key_open_to = os.path.realpath(key_path)
    return Pair(certificate, certificate_error, key, key_error, key_open_to)


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def problems(inputs: tuple[str, str], paths: tuple[str, str], names: Sequence[str], pair: Pair) -> Iterator[Problem]:
    """Yield why a server can't use a certificate and key, or its clients would refuse them, whatever the time.

    ``inputs`` and ``paths`` are the names and values of the inputs for the two files, ``names`` what clients
    call the server by.
    """
    for name, path, error in zip(inputs, paths, (pair.certificate_error, pair.key_error)):
        if error:
            yield Problem(f"{name} is {path}: {error}", "the server could not start with it", "name a file in PEM")
    if pair.key_open_to:
        yield Problem(
            f"{inputs[1]} is {paths[1]}, and every account of this host can read {pair.key_open_to}",
            "whoever has the key can pass for this server, so that it has to be replaced once it was copied",
            f"replace the key if the host has accounts that you don't trust, and `chmod 0600 {pair.key_open_to}`",
        )
    found = pair.certificate
    if found is None:
        return
    if pair.public_key and pair.public_key != found.public_key:
        yield Problem(
            f"the key {paths[1]} is not that of the first certificate in {paths[0]} ({found.subject})",
            "the server could not start with them",
            "name the key that the certificate was made for, and put the server's own certificate first in its file",
        )
    missing = [name for name in names if not found.covers(name)]
    if missing:
        yield Problem(
            f"the certificate {paths[0]} is for {', '.join(found.names) or 'no name at all'}, not for "
            + ", ".join(missing),
            "clients would refuse it, and they don't look at its common name",
            "have one made whose subjectAltName lists all names, or leave those out that nobody uses",
        )


def dated(path: str, found: Certificate, now: float) -> Iterator[Problem]:
    """Yield why a certificate's time has not come, or is over; ``now`` is in seconds since 1970."""
    if now > found.not_after:
        yield Problem(
            f"the certificate {path} has expired on {_day(found.not_after)}, and it is {_day(now)}",
            "clients would refuse it",
            "renew it; if it was, see that the host's clock is right",
        )
    if now < found.not_before:
        yield Problem(
            f"the certificate {path} is valid from {_day(found.not_before)} only, and it is {_day(now)}",
            "clients would refuse it",
            "see that the host's clock is right, or wait",
        )


def warning(path: str, found: Certificate, now: float) -> str:
    """Return what to say of a certificate that expires soon, or ``''``."""
    if not now <= found.not_after < now + SOON_SECONDS:
        return ""
    return f"the certificate {path} expires on {_day(found.not_after)}, in {(found.not_after - now) / 86400:.0f} days"
