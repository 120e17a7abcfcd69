"""Lines of exports(5), and the verdict on an export."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nfs_exports
from ansible_collections.selfhosted.mlflow.plugins.module_utils.nfs_exports import Client, Evidence, Export, Wish

FSID = "40aa8632-0aa2-55b0-9bd0-2458acacb18b"
WISH = Wish("/srv/mlflow", ("10.0.0.11", "client"), ("rw", "sync", "no_subtree_check", "crossmnt", "sec=sys"), FSID)
FREE = Evidence(others={})

#: What Linux 6.1 with nfs-utils 2.6.2 had in /var/lib/nfs/etab.
TABLE = (
    "/srv/mlflow\t10.0.0.11(rw,sync,wdelay,hide,crossmnt,secure,root_squash,no_all_squash,no_subtree_check,"
    f"secure_locks,acl,no_pnfs,fsid={FSID},anonuid=65534,anongid=65534,sec=sys,rw,secure,root_squash,no_all_squash)\n"
    "/srv/mlflow\tclient.example.org(rw,sync,wdelay,hide,crossmnt,secure,root_squash,no_all_squash,no_subtree_check,"
    f"secure_locks,acl,no_pnfs,fsid={FSID},anonuid=65534,anongid=65534,sec=sys,rw,secure,root_squash,no_all_squash)\n"
)


@pytest.mark.parametrize(
    ("text", "exports"),
    [
        ("", ()),
        ("# /srv a(rw)\n\n", ()),
        ("/srv a(rw,sync) b", (Export("/srv", (Client("a", ("rw", "sync")), Client("b", ()))),)),
        ("/srv -rw,sync a b(ro)", (Export("/srv", (Client("a", ("rw", "sync")), Client("b", ("rw", "sync", "ro")))),)),
        ("/srv \\\n  a(rw) \\\n  b(ro)\n", (Export("/srv", (Client("a", ("rw",)), Client("b", ("ro",)))),)),
        ('"/srv/a b" c(rw)', (Export("/srv/a b", (Client("c", ("rw",)),)),)),
        ("/srv/a\\040b c(rw) # mine", (Export("/srv/a b", (Client("c", ("rw",)),)),)),
        # A space before the bracket: c with defaults, and everybody with rw.
        ("/srv c (rw)", (Export("/srv", (Client("c", ()), Client("*", ("rw",)))),)),
    ],
)
def test_reads_exports(text: str, exports: tuple[Export, ...]) -> None:
    assert nfs_exports.parse(text) == exports


@pytest.mark.parametrize("path", ["/srv/mlflow", "/srv/a b", "/srv/a#b", '/srv/"a"', "/srv/a\\b", "/srv/é"])
def test_writes_what_it_reads(path: str) -> None:
    wish = replace(WISH, path=path)
    (export,) = nfs_exports.parse(nfs_exports.render(path, wish.all_options(), wish.clients))
    assert export.path == path
    assert [client.name for client in export.clients] == ["10.0.0.11", "client"]
    assert {client.options for client in export.clients} == {wish.all_options()}


@pytest.mark.parametrize(
    ("wish", "ending"),
    [
        (WISH, ("root_squash", f"fsid={FSID}")),
        (
            replace(WISH, squash="all_squash", anonymous=(850, 851)),
            ("all_squash", "anonuid=850", "anongid=851", f"fsid={FSID}"),
        ),
        (replace(WISH, mount_point_only=True), ("root_squash", f"fsid={FSID}", "mountpoint")),
    ],
)
def test_options_follow_the_inputs(wish: Wish, ending: tuple[str, ...]) -> None:
    assert wish.all_options() == (*WISH.options, *ending)


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (replace(WISH, path=""), "not an absolute path"),
        (replace(WISH, path="mlflow"), "not an absolute path"),
        (replace(WISH, path="/"), "mlflow_nfs_export_path is /"),
        (replace(WISH, path="/etc/mlflow"), "mlflow_nfs_export_path is /etc/mlflow"),
        (replace(WISH, path="/srv"), "mlflow_nfs_export_path is /srv"),
        (replace(WISH, clients=()), "mlflow_nfs_export_clients is empty"),
        (replace(WISH, clients=("*",)), "'*'"),
        (replace(WISH, clients=("0.0.0.0/0",)), "'0.0.0.0/0'"),
        (replace(WISH, clients=("a (rw)",)), "'a (rw)'"),
        (replace(WISH, clients=("a(rw)",)), "'a(rw)'"),
        (replace(WISH, clients=("a b",)), "'a b'"),
        (replace(WISH, clients=("",)), "''"),
        (replace(WISH, options=("rw", "no_root_squash")), "'no_root_squash'"),
        (replace(WISH, options=("rw", "fsid=0")), "'fsid=0'"),
        (replace(WISH, options=("rw,sync",)), "'rw,sync'"),
        (replace(WISH, options=("rw)",)), "'rw)'"),
    ],
)
def test_refuses_inputs(wish: Wish, found: str) -> None:
    (problem,) = nfs_exports.judge(wish, FREE)
    assert found in problem.found


@pytest.mark.parametrize(
    "clients",
    [
        ("10.0.0.0/24",),
        ("2001:db8::5", "2001:db8::/64"),
        ("@trusted",),
        ("*.example.org",),
        ("host-1.example.org",),
    ],
)
def test_takes_clients_as_exports_does(clients: tuple[str, ...]) -> None:
    assert nfs_exports.judge(replace(WISH, clients=clients), FREE) == []


def test_everyone_can_be_insisted_on() -> None:
    assert nfs_exports.judge(replace(WISH, clients=("*",), allow_everyone=True), FREE) == []


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (Evidence({"/etc/exports": "/srv/mlflow *(ro)"}), "/etc/exports already exports /srv/mlflow to *(ro)"),
        (Evidence({"/etc/exports": "/srv/mlflow/ a(rw)"}), "already exports"),
        (Evidence({}, unknown_names=frozenset(["client"])), "client, a name this host does not know"),
        (Evidence({}, versions="+3 -4 -4.1 -4.2"), "NFSv4 is switched off"),
        (Evidence({}, systemd=False), "systemd"),
        (Evidence({}, ours="/srv/mlflow -fsid=1234 a"), f"fsid=1234, wanted is fsid={FSID}"),
    ],
)
def test_refuses_a_host_that_is_otherwise_taken(evidence: Evidence, found: str) -> None:
    (problem,) = nfs_exports.judge(WISH, evidence)
    assert found in problem.found


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence({"/etc/exports": "/srv a(rw)\n/srv/mlflow2 a(rw)\n# /srv/mlflow a(rw)"}),
        Evidence({}, ours=f"/srv/mlflow -fsid={FSID} a"),
        Evidence({}, ours="/srv/former -fsid=1234 a"),
        Evidence({}, versions="+3 +4 +4.1 +4.2"),
    ],
)
def test_leaves_other_exports_alone(evidence: Evidence) -> None:
    assert nfs_exports.judge(WISH, evidence) == []


@pytest.mark.parametrize(("mounted", "problems"), [(True, 0), (False, 1)])
def test_a_lost_disk_is_noticed(mounted: bool, problems: int) -> None:
    evidence = replace(FREE, is_mount_point=mounted)
    assert len(nfs_exports.judge(replace(WISH, mount_point_only=True), evidence)) == problems
    assert nfs_exports.judge(WISH, evidence) == []


@pytest.mark.parametrize(
    ("wish", "table", "exported"),
    [
        (WISH, TABLE, True),
        (WISH, "", False),
        (WISH, TABLE.replace("/srv/mlflow\t", "/srv/other\t"), False),
        (replace(WISH, clients=("10.0.0.11", "10.0.0.12")), TABLE, False),
        (replace(WISH, options=("ro", "sync")), TABLE, False),
        (replace(WISH, squash="all_squash"), TABLE, False),
        (replace(WISH, fsid="00000000-0000-0000-0000-000000000000"), TABLE, False),
    ],
)
def test_knows_what_the_server_exports(wish: Wish, table: str, exported: bool) -> None:
    assert nfs_exports.is_exported(wish, table) is exported


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("host", True),
        ("h.example.org", True),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("10.0.0.0/8", False),
        ("@a", False),
        ("*.a", False),
    ],
)
def test_only_names_are_resolved(client: str, name: bool) -> None:
    assert nfs_exports.is_name(client) is name
