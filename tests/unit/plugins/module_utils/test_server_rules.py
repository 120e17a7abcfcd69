"""Each row is an input that the server's preflight must refuse, and what its message must say."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import mountinfo
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_root import Root
from ansible_collections.selfhosted.mlflow.plugins.module_utils.installation import Install
from ansible_collections.selfhosted.mlflow.plugins.module_utils.listeners import Listener
from ansible_collections.selfhosted.mlflow.plugins.module_utils.server_rules import (
    MANAGED,
    Case,
    Evidence,
    Service,
    bytes_of,
    judge,
)

MOUNTS = mountinfo.parse(
    "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n"
    "40 22 0:45 / /srv/mlflow/artifacts rw - nfs4 nas:/srv/mlflow rw\n"
    "41 22 0:46 / /home rw - cifs //nas/home rw\n"
    "42 22 254:2 / /data rw - xfs /dev/vdb1 rw\n"
)
LOCAL = mountinfo.parse("22 1 254:1 / / rw - ext4 /dev/vda1 rw")
LOCKS = ("mlflow-3.17.2-py3.11.txt", "mlflow-3.17.2-py3.13.txt", "mlflow-2.22.5-py3.11.txt")
GOOD = Case(install=Install("mlflow_server", locks=LOCKS), evidence=Evidence(mounts=LOCAL))


def case(base: Case = GOOD, **changes: Any) -> Case:
    """The good case with some inputs changed, whichever part they belong to."""
    parts = {}
    for part in ("install", "service", "root", "evidence"):
        value = getattr(base, part)
        own = {name: new for name, new in changes.items() if name in value.__dataclass_fields__}
        parts[part] = replace(value, **own)
        changes = {name: new for name, new in changes.items() if name not in own}
    assert not changes, f"no such input: {changes}"
    return Case(**parts)


def root(path: str, **changes: Any) -> Case:
    return replace(GOOD, root=Root(path, **{"access": "proxied", **changes}))


def held(address: str, unit: str = "", process: str = "nginx (process 7)", uid: int = 33) -> Case:
    return case(listeners=(Listener(address, 5000, "1", process, unit, uid),), service_uid=850)


# What is wished, what is found, why it is wrong, what to write instead.
REFUSED = [
    # The artifact root
    (root("mlflow/artifacts"), "artifact_root is 'mlflow/artifacts'", "not absolute", "/srv/mlflow"),
    (root("./mlruns"), "artifact_root is './mlruns'", "not absolute", "/srv/mlflow"),
    (root("~/mlruns"), "artifact_root is '~/mlruns'", "not absolute", "/srv/mlflow"),
    (root(""), "artifact_root is ''", "not absolute", "/srv/mlflow"),
    (root("file://nas/srv/art"), "file://nas/srv/art", "the host 'nas'", "write the path alone: /srv/art"),
    (root("file:///srv/art"), "file:///srv/art", "every experiment", "write the path alone: /srv/art"),
    (root("file:/srv/art"), "file:/srv/art", "every experiment", "write the path alone: /srv/art"),
    (root("s3://bucket/art"), "s3://bucket/art", "directory", "/srv/mlflow/artifacts"),
    (root("/srv/art/"), "'/srv/art/'", "count as different", "write /srv/art"),
    (root("/srv/../art"), "'/srv/../art'", "count as different", "write /art"),
    (root("//srv/art"), "'//srv/art'", "count as different", "write /srv/art"),
    (root("/srv/my art"), "'/srv/my art'", "unit files", "letters, digits"),
    (root("/srv/%i/art"), "'/srv/%i/art'", "unit files", "letters, digits"),
    (root("/tmp/art"), "/tmp/art", "private to each service", "a directory of their own"),
    (root("/"), "artifact_root is /", "the system's", "a directory of their own"),
    (root("/etc/mlflow-art"), "/etc/mlflow-art", "the system's", "a directory of their own"),
    (root("/var/lib/mlflow/artifacts"), "/var/lib/mlflow/artifacts", "only the service may enter", "/srv/mlflow"),
    (root("/var/cache/mlflow"), "/var/cache/mlflow", "only the service may enter", "/srv/mlflow"),
    (root("/opt"), "artifact_root is /opt", "it holds mlflow_server_install_root", "/srv/mlflow"),
    (case(symlink=("/srv/mlflow", "/data/mlflow")), "/srv/mlflow, on the way", "as written", "mount it there"),
    (case(root_is_other_file=True), "is not a directory", "directories below it", "move it away"),
    (
        root("/srv/art", access="direct", clients=("c1", "c2")),
        "the clients are c1, c2",
        "never reaches the server",
        "mlflow_nfs_share",
    ),
    (root("/srv/art", mount_point="/mnt/nas"), "mount_point is /mnt/nas", "does not lie on it", "name the mount point"),
    (root("/srv/art", mount_point="srv/art"), "mount_point is 'srv/art'", "not absolute", "/srv/mlflow"),
    # The database
    (case(backend_store_uri="sqlite:///var/lib/x.db"), "sqlite:///var", "lacks a slash", "sqlite:////"),
    (case(backend_store_uri="sqlite://x.db"), "sqlite://x.db", "lacks a slash", "sqlite:////"),
    (case(backend_store_uri="sqlite://"), "sqlite://", "gone at the next restart", "sqlite:////"),
    (case(backend_store_uri="sqlite:///:memory:"), ":memory:", "gone at the next restart", "sqlite:////"),
    (case(backend_store_uri="sqlite://///var/x.db"), "sqlite://///", "a slash too many", "sqlite:////"),
    (case(backend_store_uri="sqlite:////var/../x.db"), "/var/../x.db", "lead back", "sqlite:////x.db"),
    (case(backend_store_uri="sqlite:////home/x.db", mounts=MOUNTS), "/home/x.db", "cifs from //nas/home", "PostgreSQL"),
    (
        replace(root("/srv/art", mount_point="/srv"), service=Service(backend_store_uri="sqlite:////srv/x.db")),
        "/srv/x.db",
        "the share that is mounted at /srv",
        "local disk",
    ),
    (case(backend_store_uri="sqlite:////srv/mlflow/artifacts/x.db"), "artifacts/x.db", "may write artifacts", "apart"),
    (case(backend_store_uri="/var/lib/mlflow"), "'/var/lib/mlflow'", "no longer maintained", "postgresql+psycopg://"),
    (case(backend_store_uri="file:///var/mlruns"), "file:///var", "no longer maintained", "postgresql+psycopg://"),
    (case(backend_store_uri=""), "backend_store_uri is ''", "database", "sqlite:////"),
    (case(backend_store_uri="postgresql://…@db/m"), "postgresql://", "it names no driver", "postgresql+psycopg://"),
    (case(backend_store_uri="postgresql+psycopg2://…@db/m"), "psycopg2", "driver psycopg2", "postgresql+psycopg://"),
    (case(backend_store_uri="mysql://…@db/m"), "'mysql://", "it names no driver", "mysql+pymysql://"),
    (
        case(backend_store_uri="mssql://…@db/m", extra_packages=("pyodbc==5.3.0",)),
        "mssql",
        "it names no driver",
        "write mssql+DRIVER://",
    ),
    (case(backend_store_uri="mssql+pyodbc://…@db/m"), "mssql+pyodbc", "driver pyodbc", "extra_packages"),
    (case(backend_store_uri="oracle+oracledb://…@db/m"), "oracle", "keeps runs in a database", "postgresql+psycopg://"),
    (case(backend_store_uri="mysql+mysqldb://…@db/m"), "mysqldb", "driver mysqldb", "mysql+pymysql://"),
    (case(backend_store_uri="postgresql+psycopg://"), "postgresql", "no host", "USER:PASSWORD@HOST"),
    (case(registry_store_uri="sqlite:///x.db"), "registry_store_uri", "lacks a slash", "sqlite:////"),
    # What is installed
    (case(version="3.18.0"), "version is 3.18.0", "no lock", "3.17.2, 2.22.5"),
    (case(version="2.22.5", python_version=(3, 13)), "Python 3.13", "for Python 3.11 there is one", "requirements"),
    (case(requirements="r.txt", requirements_exist=False), "is r.txt", "would be installed", "on the machine"),
    (case(python_version=(3, 9)), "Python 3.9", "3.10 or newer", "/usr/bin/python3.11"),
    (case(python="/opt/py", python_version=None), "/opt/py", "installed with it", "leave mlflow_server_python out"),
    (case(extra_packages=("boto3",)), "'boto3'", "next month", "NAME==VERSION"),
    (case(extra_packages=("boto3>=1",)), "'boto3>=1'", "next month", "NAME==VERSION"),
    (case(extra_packages=("git+https://x/y",)), "'git+https", "next month", "NAME==VERSION"),
    (case(wheelhouse="/srv/w", wheelhouse_exists=False), "/srv/w", "from there", "copy the wheels"),
    (case(keep_releases=-1), "keep_releases is -1", "number", "0 or more"),
    # The host, the account, the directories
    (case(systemd=False), "not started by systemd", "starts it at boot", "process 1 is systemd"),
    (case(user="root"), "user is 'root'", "must not be root", "such as mlflow"),
    (case(group="ML flow"), "group is 'ML flow'", "can't use", "such as mlflow"),
    (case(install_root="opt/mlflow"), "install_root is 'opt/mlflow'", "not absolute", "/srv/mlflow"),
    (case(config_directory="/etc/ml flow"), "config_directory", "unit files", "letters"),
    (case(install_root="/var/lib/mlflow/app"), "install_root", "another owner", "a directory of its own"),
    (case(cache_directory="/var/lib/mlflow"), "cache_directory (/var/lib/mlflow)", "another owner", "of its own"),
    (case(backup_directory="backups"), "backup_directory is 'backups'", "not absolute", "/srv/mlflow"),
    (case(backup_directory="/var/lib/mlflow/x"), "backup_directory", "another owner", "a directory of its own"),
    (case(migration_timeout=5), "migration_timeout is 5", "taken back", "60 seconds or more"),
    # Who is answered
    (case(bind_address="mlflow.example.org"), "bind_address", "one address", "127.0.0.1"),
    (case(bind_address="127.0.0.1:5000"), "bind_address", "one address", "without port"),
    (case(bind_address="[::1]"), "bind_address", "one address", "brackets"),
    (case(bind_address="192.0.2.7", bind_address_is_here=False), "no interface", "could not bind", "this host's"),
    (case(port=0), "port is 0", "need rights", "1024 to 65535"),
    (case(port=80), "port is 80", "need rights", "reverse proxy"),
    (case(port=65536), "port is 65536", "the last", "1024 to 65535"),
    (held("0.0.0.0"), "nginx (process 7) listens", "only one", "another mlflow_server_port"),
    (held("127.0.0.1", unit="nginx.service"), "for nginx.service", "only one", "another mlflow_server_port"),
    (held("::", process=""), "another process listens", "only one", "stop that process"),
    (case(allowed_hosts=()), "allowed_hosts is empty", "403", "with and without port"),
    (case(allowed_hosts=("http://a",)), "'http://a'", "Host header", "without scheme"),
    (case(allowed_hosts=("a, b",)), "'a, b'", "Host header", "blanks"),
    (case(allowed_hosts=("",)), "has ''", "Host header", "example.org"),
    (case(cors_allowed_origins=("a.org",)), "'a.org'", "scheme", "https://"),
    (case(cors_allowed_origins=("https://a.org/",)), "'https://a.org/'", "no path", "https://"),
    (case(static_prefix="mlflow"), "static_prefix is 'mlflow'", "before every path", "begin with a slash"),
    (case(static_prefix="/mlflow/"), "'/mlflow/'", "before every path", "end without one"),
    (case(static_prefix="/"), "'/'", "before every path", "leave it empty"),
    # What it may use
    (case(workers=0), "workers is 0", "nobody", "1 or more"),
    (case(memory_max="2 GB"), "'2 GB'", "notation", "50%"),
    (case(memory_max="512X"), "'512X'", "notation", "50%"),
    (case(memory_max="120%"), "'120%'", "notation", "50%"),
    (case(memory_max="256M"), "memory_max is 256M", "480 MiB", "720M"),
    (case(workers=8, memory_max="2G"), "with 8 workers", "2440 MiB", "fewer workers"),
    (case(job_execution=True, memory_max="2G"), "and job execution", "2280 MiB", "3420M"),
    (case(start_timeout=5), "start_timeout is 5", "6 to 20 seconds", "30 seconds"),
    (case(stop_timeout=0), "stop_timeout 0", "cut short", "1 or more"),
    # The environment
    (case(environment_names=("AWS KEY",)), "'AWS KEY'", "can't have this name", "underscores"),
    (case(environment_names=("1ST",)), "'1ST'", "can't have this name", "digit"),
    (case(environment_names=("MLFLOW_PORT",)), "'MLFLOW_PORT'", "contradict", "mlflow_server_port"),
    (
        case(environment_names=("MLFLOW_UVICORN_OPTS",), access_log=False),
        "mlflow_server_access_log is false",
        "contradict",
        "--no-access-log",
    ),
    (case(environment_names=("MLFLOW_EXPOSE_PROMETHEUS",)), "PROMETHEUS", "contradict", "mlflow_server_prometheus"),
    (case(environment_names=("PEM",), multiline_names=("PEM",)), "'PEM'", "one line", "put the text into a file"),
]


@pytest.mark.parametrize(("wished", "found", "why", "instead"), REFUSED, ids=[row[1] for row in REFUSED])
def test_refuses(wished: Case, found: str, why: str, instead: str) -> None:
    (problem,) = judge(wished)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


ACCEPTED = {
    "the defaults": GOOD,
    "all interfaces of both kinds": case(bind_address="::"),
    "our own service on the port": held("0.0.0.0", unit="mlflow.service"),
    "our own port where the process can't be told": held("0.0.0.0", process="", uid=850),
    "the port of a server that is taken over": case(
        listeners=(Listener("0.0.0.0", 5000, "1", "mlflow (process 7)", holders=frozenset((7, 8))),),
        leaving=frozenset((6, 7)),
    ),
    "another address's port": case(held("10.0.0.7"), bind_address="127.0.0.1"),
    "a share that is going to be mounted": root("/srv/art", access="direct", mount_point="/srv/art", clients=("c1",)),
    "a root below a declared mount": root("/srv/nas/art", access="direct", mount_point="/srv/nas", clients=("c1",)),
    "a network file system that somebody mounted": case(access="direct", clients=("c1",), mounts=MOUNTS),
    "a mounted disk, which may be shared by other means": replace(
        GOOD, root=Root("/data", "direct", clients=("c1",)), evidence=Evidence(mounts=MOUNTS)
    ),
    "direct access without clients": root("/srv/art", access="direct"),
    "SQLite with options": case(backend_store_uri="sqlite:////var/lib/mlflow/backend/x.db?timeout=30"),
    "PostgreSQL": case(backend_store_uri="postgresql+psycopg://…@db/mlflow"),
    "a driver of one's own": case(backend_store_uri="mysql+mysqldb://…@db/m", extra_packages=("mysqlclient==2.2.7",)),
    "any release with one's own lock": case(version="3.99", requirements="r.txt"),
    "a Python that will be installed": case(python_version=None, python_comes=True),
    "no limit of memory": case(memory_max="infinity", workers=32),
    "a share of the memory": case(memory_max="50%"),
    "a prefix": case(static_prefix="/tools/mlflow"),
    "any host": case(allowed_hosts=("*",)),
    "options of uvicorn": case(environment_names=("MLFLOW_UVICORN_OPTS",)),
    "further variables": case(environment_names=("AWS_PROFILE", "MLFLOW_S3_ENDPOINT_URL")),
}


@pytest.mark.parametrize("wished", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts(wished: Case) -> None:
    assert judge(wished) == []


def test_all_problems_are_told_at_once() -> None:
    assert len(judge(case(port=80, workers=0, user="root", systemd=False))) == 4


def test_problems_end_without_a_full_stop() -> None:
    """Whoever renders them adds it."""
    ended = [text for row in REFUSED for p in judge(row[0]) for text in (p.found, p.why, p.instead) if text[-1] == "."]
    assert ended == []


@pytest.mark.parametrize(
    ("memory", "expected"),
    [("1024", 1024), ("1K", 1024), ("512M", 512 * 1024**2), ("2G", 2 * 1024**3), ("1T", 1024**4), ("50%", None)],
)
def test_bytes_of(memory: str, expected: int | None) -> None:
    assert bytes_of(memory) == expected


def test_managed_variables_name_inputs() -> None:
    assert all(re.fullmatch(r"mlflow_server_[a-z_]+", name) for name in MANAGED.values())


@pytest.mark.parametrize(
    ("driver", "version", "refused"),
    [("", "3.17.2", False), ("s3", "3.17.2", False), ("gcs", "3.17.2", True), ("s3", "3.1.4", True)],
)
def test_a_store_s_driver_needs_a_lock_of_its_own(driver: str, version: str, refused: bool) -> None:
    locks = ("mlflow-3.17.2-py3.11.txt", "mlflow-3.1.4-py3.11.txt", "mlflow-3.17.2-with-s3-py3.11.txt")
    found = judge(replace(GOOD, install=Install("mlflow_server", version=version, locks=locks, driver=driver)))
    assert [f"with the driver of {driver}" in problem.found for problem in found] == [True] * refused


def test_a_store_stands_in_for_the_root() -> None:
    root = Root("/etc/mlflow", "proxied", store="s3://bucket/mlflow")
    assert judge(replace(GOOD, root=root)) == []
    assert judge(replace(GOOD, root=replace(root, store=""))) != []
