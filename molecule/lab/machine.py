# Copyright (c) 2026, the selfhosted.mlflow authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest takes over from this machine: certificates, proxies, package indexes, name servers.

A guest reaches the network through this machine, so where this machine needs a corporate
certificate authority, a proxy or a mirror, the guest needs the same. Settings that only make
sense here (local paths, the loopback address) stay here.
"""

from __future__ import annotations

import configparser
import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lab.base import LabError, digest

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PROXY_NAMES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
_PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout", "retries")
_UV_NAMES = (
    "UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT",
)  # fmt: skip
_MIRROR_NAMES = {"Debian": "LAB_DEBIAN_MIRROR", "Debian-Security": "LAB_DEBIAN_SECURITY_MIRROR"}
_APT_KEY = re.compile(r"Acquire::(?:(?:https?|ftp)::|Check-Date|Check-Valid-Until|Retries|ForceIPv[46])")
_LOCAL_PATH = re.compile(r"(^|[\s=@])(/|~|\./|file:)")


@dataclass(frozen=True)
class Settings:
    """What a guest inherits.

    :ivar certificates: file name -> PEM text of the machine's own certificate authorities.
    :ivar environment: for /etc/environment.
    :ivar pip: key -> value for the ``[global]`` section of /etc/pip.conf.
    :ivar apt: lines of apt.conf.
    :ivar mirror: URL of the Debian archive.
    :ivar security_mirror: URL of Debian's security archive.
    :ivar nameservers: addresses for /etc/resolv.conf.
    """

    certificates: Mapping[str, str]
    environment: Mapping[str, str]
    pip: Mapping[str, str]
    apt: tuple[str, ...]
    mirror: str
    security_mirror: str
    nameservers: tuple[str, ...]

    @property
    def pip_conf(self) -> str:
        """The text of /etc/pip.conf; empty when there is nothing to say."""
        if not self.pip:
            return ""
        return "[global]\n" + "".join(f"{key} = {value}\n" for key, value in sorted(self.pip.items()))


def is_portable(value: str) -> bool:
    """Tell whether a setting means the same on another host: no local path, no loopback URL."""
    if _LOCAL_PATH.search(value):
        return False
    for word in value.split():
        host = urlsplit(word).hostname if "://" in word else word.rsplit(":", 1)[0]
        if host == "localhost":
            return False
        try:
            if host and ipaddress.ip_address(host).is_loopback:
                return False
        except ValueError:
            continue
    return True


def proxy_environment(environment: Mapping[str, str], direct: Sequence[str]) -> dict[str, str]:
    """Return the proxy variables for a guest, in both spellings; `direct` names bypass the proxy."""
    found: dict[str, str] = {}
    for name in _PROXY_NAMES:
        value = environment.get(name) or environment.get(name.upper())
        if value and is_portable(value):
            found[name] = value
    if found:
        known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        names = [name.strip() for name in known.split(",") if name.strip()]
        names += [name for name in ("localhost", "127.0.0.1", "::1", *direct) if name not in names]
        found["no_proxy"] = ",".join(names)
    return found | {name.upper(): value for name, value in found.items()}


def pip_settings(environment: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    """Return pip's settings that make sense on a guest.

    :param environment: ``PIP_*`` variables win over the files, as in pip.
    :param files: texts of pip.conf files, weakest first.
    """
    found: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for key in _PIP_KEYS:
        variable = "PIP_" + key.upper().replace("-", "_")
        if variable in environment:
            found[key] = environment[variable]
    return {key: " ".join(found[key].split()) for key in _PIP_KEYS if found.get(key) and is_portable(found[key])}


def uv_environment(environment: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    """Return uv's settings that make sense on a guest, as environment variables.

    :param environment: ``UV_*`` variables win over the files, as in uv.
    :param files: texts of uv.toml files, weakest first.
    """
    found: dict[str, str] = {}
    for text in files:
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            continue
        extra = [str(url) for url in raw.get("extra-index-url", [])]
        for index in raw.get("index", []):
            if index.get("default"):
                found["UV_DEFAULT_INDEX"] = str(index.get("url", ""))
            else:
                extra.append(str(index.get("url", "")))
        if "index-url" in raw:
            found["UV_DEFAULT_INDEX"] = str(raw["index-url"])
        if extra:
            found["UV_INDEX"] = " ".join(extra)
    found |= {name: environment[name] for name in _UV_NAMES if environment.get(name)}
    return {name: value for name, value in found.items() if value and is_portable(value)}


def apt_settings(dump: str) -> tuple[str, ...]:
    """Choose from the output of ``apt-config dump`` how packages are fetched: proxies and patience."""
    lines = []
    for line in dump.splitlines():
        key, _sep, value = line.partition(" ")
        text = value.rstrip(";").strip('"')
        if _APT_KEY.match(key) and text and is_portable(text) and "Detect" not in key:
            lines.append(line)
    return tuple(sorted(lines))


def debian_mirrors(targets: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the Debian and the security archive: those that the environment names, else this machine's own.

    :param targets: lines ``LABEL URI`` as ``apt-get indextargets`` prints them.
    :raises LabError: neither names one.
    """
    found: dict[str, str] = {}
    for line in reversed(targets.splitlines()):
        label, _sep, uri = line.partition(" ")
        if uri.startswith(("http://", "https://")) and is_portable(uri):
            found[label] = uri.rstrip("/")
    found |= {label: environment[name] for label, name in _MIRROR_NAMES.items() if environment.get(name)}
    for label, name in _MIRROR_NAMES.items():
        if label not in found:
            raise LabError(
                f"apt on this machine has no archive labelled {label} that a guest could use; name one in {name}"
            )
    return found["Debian"], found["Debian-Security"]


def nameservers(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the name servers of the first resolv.conf that names one a guest can reach."""
    for text in texts:
        words = (line.split() for line in text.splitlines())
        found = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and is_portable(word[1])]
        usable = [address for address in found if ":" not in address]  # the lab's network is IPv4
        if usable:
            return tuple(usable[:3])
    return ()


def _texts(paths: Iterable[Path]) -> list[str]:
    return [path.read_text(errors="replace") for path in paths if path.is_file()]


def _certificates() -> dict[str, str]:
    paths = sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))
    return {f"{digest(str(path))}-{path.name}": path.read_text(errors="replace") for path in paths}


def collect(environment: Mapping[str, str], apt_dump: str, apt_targets: str) -> Settings:
    """Look at this machine."""
    home = Path(environment.get("HOME") or "/root")
    certificates = _certificates()
    pip_files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    uv_files = [Path("/etc/uv/uv.toml"), home / ".config/uv/uv.toml"]
    pip = pip_settings(environment, _texts(pip_files))
    guest = uv_environment(environment, _texts(uv_files))
    if certificates:
        # pip and uv carry certificates of their own and would not trust the machine's.
        pip["cert"] = CA_BUNDLE
        guest |= {"SSL_CERT_FILE": CA_BUNDLE, "REQUESTS_CA_BUNDLE": CA_BUNDLE}
    mirror, security = debian_mirrors(apt_targets, environment)
    resolvers = _texts([Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")])
    return Settings(
        certificates=certificates,
        environment=guest,
        pip=pip,
        apt=apt_settings(apt_dump),
        mirror=mirror,
        security_mirror=security,
        nameservers=tuple((environment.get("LAB_NAMESERVERS") or "").split()) or nameservers(resolvers),
    )
