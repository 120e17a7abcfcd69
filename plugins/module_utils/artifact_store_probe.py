# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a store of artifacts said when MLflow used it, and what to do; and the files that it is used with.

Source: "Error responses" (Amazon S3), "Blob service error codes" and "Create an account SAS" (Azure), botocore's exceptions, paramiko's and
ftplib's; OpenSSH's PROTOCOL.key (the format of a private key).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional
from urllib.parse import unquote

from ansible_collections.selfhosted.mlflow.plugins.module_utils.problem import Problem

_SHOWN = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END", re.DOTALL)
_MAGIC = b"openssh-key-v1\0"
#: Azure's shared access signatures say until when they are good, and a store not always that this is over.
_UNTIL = re.compile(r"(?:^|[?&=])se=([^&;]+)")
_TIMES = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d")
_DENIED = re.compile(r"AuthenticationFailed|AuthorizationFailure|failed to authenticate|\b40[13]\b")
#: What was done when a step failed.
_DOING = {
    "load": "load MLflow",
    "connect": "connect to it",
    "open": "open it",
    "list": "list it",
    "write": "write to it",
    "find": "find there what was written",
    "read": "read there what was written",
    "delete": "delete there what was written",
}

_RENEW = "make a new one; better give the server a key of its own, whose rights are no more than this store's"

#: Step, what was said, why that is, and what to do; the first that matches counts.
_REMEDIES: tuple[tuple[str, str, str, str], ...] = (
    (
        "",
        r"No module named|requires the .* package|please install",
        "the store's driver is not installed",
        "leave mlflow_server_requirements out, or add the driver to that file",
    ),
    (
        "",
        r"libhdfs|libjvm|CLASSPATH|HADOOP_HOME|JAVA_HOME",
        "pyarrow reaches HDFS by Hadoop's own library, which this host has not",
        "install Hadoop's client and Java, and set HADOOP_HOME, JAVA_HOME and CLASSPATH in mlflow_server_environment",
    ),
    (
        "",
        r"[Nn]ame or service not known|[Nn]o address associated|[Tt]emporary failure in name resolution|getaddrinfo",
        "this host can't resolve the store's name",
        "write the name that `getent hosts NAME` knows here, or the address",
    ),
    (
        "",
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError|[Hh]ostname mismatch",
        "the store's certificate is of no authority that this host trusts, or of another name",
        "write ca_bundle, the file of its authority's certificate (for Azure and Google: install it on the host)",
    ),
    (
        "",
        r"WRONG_VERSION_NUMBER|wrong version number|HTTPS client|unknown protocol",
        "the store speaks HTTP there, and was asked by HTTPS or the other way round",
        "correct the beginning of its address, https:// or http://",
    ),
    (
        "",
        r"ExpiredToken|token .*expired|[Ee]xpired ?[Tt]oken|AuthenticationFailed.*expired|Signature not valid in the spec",
        "the token was good for a time that is over",
        _RENEW,
    ),
    (
        "",
        r"InvalidToken|InvalidSecurity|session token|security token|token .*(invalid|malformed)",
        "the store knows no such token",
        "correct session_token, which belongs to its access_key and secret_key; without a session leave it out",
    ),
    (
        "",
        r"RequestTimeTooSkewed|clock|Make sure .* time",
        "the clocks of this host and of the store differ",
        "set the clock by NTP (`timedatectl`)",
    ),
    (
        "",
        r"InvalidAccessKeyId|access key .*(not exist|not found)|[Ii]nvalid user|account .*(not|n't) exist",
        "the store knows no such key",
        "correct access_key, or make it in the store",
    ),
    (
        "",
        r"SignatureDoesNotMatch|signature .*(does not match|we calculated)",
        "the secret does not belong to the key",
        "correct secret_key; perhaps it was cut, or quoted twice",
    ),
    (
        "",
        (
            r"AuthorizationHeaderMalformed|region .*(wrong|expecting|mismatch)|PermanentRedirect|IllegalLocationConstraint|"
            r"[Ii]ncorrect region|not the correct region"
        ),
        "the bucket is in another region than the request was signed for",
        "correct region; the store says which it expects",
    ),
    (
        "",
        (
            r"Unable to locate credentials|NoCredentials|Could not automatically determine credentials|"
            r"DefaultAzureCredential|No password or key specified|Anonymous caller"
        ),
        "no credentials were given, and this host has none of its own",
        "write access_key and secret_key, account_key or connection_string, credentials_file, or private_key",
    ),
    (
        "",
        r"NoSuchBucket|bucket does not exist|bucket .*not found|ContainerNotFound|container does not exist|notFound.*bucket",
        "the store answers, and has no such bucket or container",
        "make it, or correct uri; MLflow makes none",
    ),
    (
        "",
        (
            r"AuthenticationFailed|Server failed to authenticate|AuthorizationFailure|invalid_grant|[Aa]uthentication "
            r"failed|Login incorrect|530 |InvalidAuthenticationInfo|401 |Invalid JWT|invalid_client"
        ),
        "the store does not take these credentials",
        "correct the account's key, name or password",
    ),
    (
        "",
        r"No hostkey for host|No Host Keys Found|Bad host key|host key .*(does not|mismatch)|hostkey",
        "the SSH server's key is not the one in known_hosts",
        "compare it on the SFTP server, and correct known_hosts",
    ),
    (
        "",
        r"not a valid RSA|RSA private key|DSSKey|invalid key|checkints|unpack requires|encountered .* key",
        "the driver reads RSA keys only",
        "make one by `ssh-keygen -t rsa -b 4096 -m PEM -N ''`",
    ),
    (
        "delete",
        r".",
        "MLflow could write, and can't delete there; deleted runs would keep their files for good",
        "allow it to delete objects, too (on S3: s3:DeleteObject), or leave mlflow_gc out",
    ),
    (
        "",
        (
            r"AccessDenied|Access Denied|Forbidden|\b403\b|AuthorizationPermissionMismatch|does not have .* access|"
            r"[Pp]ermission denied|\b550\b|\b553\b|\b552\b|Operation not permitted|storage\.objects"
        ),
        "the store knows who asks, and does not allow this",
        (
            "allow it to list, read, write and delete below uri (on S3: s3:ListBucket of the bucket, s3:GetObject, "
            "s3:PutObject and s3:DeleteObject of what is in it)"
        ),
    ),
    (
        "write",
        r"EOF occurred|[Cc]onnection (was|is) closed|closed the connection|Connection reset|Broken pipe",
        "it could be listed, and ended the connection when it was written to: some stores answer so what they don't allow",
        "allow it to write and delete below uri; what the store's own log says of it, is more",
    ),
    (
        "",
        r"KMS|SSE|encryption",
        "the store does not encrypt as it was told to",
        "correct upload_extra_args, or let its key be used",
    ),
    (
        "",
        (
            r"Connection refused|timed? ?out|[Nn]o route|unreachable|Connection reset|Could not connect|Unable to connect|"
            r"closed the connection|EOF|Max retries|ServiceRequestError|Error reading SSH protocol banner"
        ),
        "nothing answers there as such a store does",
        "start the store, or correct its address and port; is a firewall between them?",
    ),
    (
        "",
        r"No such file|\[Errno 2\]|[Nn]ot ?[Ff]ound|\b404\b",
        "the store answers, and has not what was asked for",
        "correct uri; on SFTP and FTP make its directory, which belongs to the user",
    ),
)


def parse(out: str) -> dict[str, Any]:
    """Return what the program printed.  Raises ValueError when that is no answer."""
    lines = out.strip().splitlines()
    answer = json.loads(lines[-1]) if lines else None
    if not isinstance(answer, dict) or "steps" not in answer:
        raise ValueError("it printed no answer")
    return answer


def hide(text: str, hidden: Iterable[str]) -> str:
    """Return a text of a driver's with no secret in it."""
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "…")
    return text


def _until(secret: str) -> Optional[datetime]:
    """Return until when a token is good, None where it does not say so."""
    match = _UNTIL.search(secret)
    if match:
        for form in _TIMES:
            with contextlib.suppress(ValueError):
                return datetime.strptime(unquote(match[1]), form).replace(tzinfo=timezone.utc)
    return None


def judge(
    uri: str, answer: Mapping[str, Any], hidden: Sequence[str] = (), now: Optional[datetime] = None
) -> Optional[Problem]:
    """Return what is wrong with a store by what was answered, None for nothing.

    ``hidden`` are the secrets that it was asked with, and ``now`` is the time, this moment where it is not given.
    """
    error = answer.get("error")
    if not error:
        return None
    step, said = str(error.get("step", "")), f"{error.get('name', '')}: {error.get('text', '')}"
    said = _CONTROL.sub(" ", hide(said, hidden)).strip()
    left = f"; {answer['left']} could not be removed" if answer.get("left") else ""
    found = f"{uri}: MLflow can't {_DOING.get(step, 'use it')}: {said[:_SHOWN]}{left}"
    now = now or datetime.now(timezone.utc)
    over = [until for until in map(_until, hidden) if until and until < now]
    if over and _DENIED.search(said):
        return Problem(found, f"the token was good until {over[0]:%Y-%m-%d %H:%M} UTC, which is over", _RENEW)
    for when, pattern, why, instead in _REMEDIES:
        if when in ("", step) and re.search(pattern, said):
            return Problem(found, why, instead)
    return Problem(found, "MLflow would fail on it", "correct what the store says of it")


def _key(text: str) -> str:
    """Return what keeps a private key from being read by the SFTP driver, '' for nothing."""
    if "BEGIN RSA PRIVATE KEY" in text:
        return "it has a passphrase, which nobody would type" if "ENCRYPTED" in text else ""
    match = _OPENSSH.search(text)
    if not match:
        return "it is no private key of OpenSSH's"
    try:
        raw = base64.b64decode("".join(match[1].split()), validate=True)
    except (binascii.Error, ValueError):
        return "it is no private key of OpenSSH's"
    cipher = raw[len(_MAGIC) + 4 : len(_MAGIC) + 8]
    if not raw.startswith(_MAGIC) or cipher != b"none":
        return "it has a passphrase, which nobody would type"
    return "" if b"\0\0\0\x07ssh-rsa" in raw else "it is no RSA key, and the driver reads no other"


def file_problem(found: str, part: str, path: str, text: Optional[str]) -> Optional[Problem]:
    """Return what is wrong with the file of one part of a store; ``text`` is what is in it, None where it isn't there.

    ``found`` is the input that holds the store.
    """
    named = f"{found}.{part} is {path}"
    if text is None:
        why = "Google's driver would ask without credentials" if part == "credentials_file" else "the driver needs it"
        return Problem(f"{named}, and this host has no such file", why, "copy it there first, readable for who uses it")
    if part == "ca_bundle" and "BEGIN CERTIFICATE" not in text:
        return Problem(f"{named}, without a certificate", "nothing could be proved by it", "write a file of PEM")
    if part == "credentials_file" and not _is_google(text):
        return Problem(
            f"{named}, and that is no file of credentials",
            "Google's driver would not read it",
            "write the JSON file of a service account's key",
        )
    wrong = _key(text) if part == "private_key" else ""
    return Problem(named, wrong, "make one by `ssh-keygen -t rsa -b 4096 -m PEM -N ''`") if wrong else None


def _is_google(text: str) -> bool:
    try:
        return bool(json.loads(text)["type"])
    except (ValueError, KeyError, TypeError):
        return False
