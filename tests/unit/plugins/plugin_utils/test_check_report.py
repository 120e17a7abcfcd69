"""One table of what all hosts found."""

from __future__ import annotations

from typing import Any

from ansible_collections.selfhosted.mlflow.plugins.module_utils.finding import ERROR, INFO, WARNING, Finding
from ansible_collections.selfhosted.mlflow.plugins.plugin_utils import check_report
from ansible_collections.selfhosted.mlflow.plugins.plugin_utils.check_report import Result


def finding(severity: str, name: str = "missing", remedy: str = "mount it", **about: str) -> dict[str, Any]:
    return Finding(name, severity, f"{name} it is", remedy).as_dict(**about)


def probe(host: str, *findings: dict[str, Any], users: tuple[str, ...] = ("alice",)) -> Result:
    return Result(host, {"users": list(users), "findings": list(findings), "run": "0" * 16})


def test_every_user_of_every_host_has_a_row_with_a_verdict() -> None:
    rows = check_report.rows(
        [
            probe(
                "ws1", finding(ERROR, user="alice"), finding(INFO, "indirect_path", user="bob"), users=("alice", "bob")
            ),
            probe("ws2", finding(WARNING, "name_folding", user="alice")),
        ],
        "mlflow",
        [],
    )

    assert [(row.host, row.user, row.verdict) for row in rows] == [
        ("ws1", "alice", check_report.FAILED),
        ("ws1", "bob", check_report.PROVED),
        ("ws2", "alice", check_report.WARNED),
        ("mlflow", "", check_report.FINE),
    ]


def test_what_the_server_finds_of_a_client_is_the_clients() -> None:
    collected = Result("", {"findings": [finding(ERROR, "replica", client="ws1", user="alice")]})

    rows = check_report.rows([probe("ws1")], "mlflow", [collected])

    assert [row.verdict for row in rows] == [check_report.FAILED, check_report.FINE]
    assert check_report.errors(rows, "ws1") == ["replica for alice on ws1"]
    assert check_report.errors(rows, "ws2") == []


def test_an_error_of_the_server_fails_every_host() -> None:
    rows = check_report.rows([probe("ws1")], "mlflow", [Result("", {"findings": [finding(ERROR, "no_space")]})])

    assert check_report.errors(rows, "ws1") == ["no_space on mlflow"]


def test_hosts_that_gave_no_result_are_errors() -> None:
    gone = Result("ws1", {"unreachable": True, "msg": "timed out"})
    crashed = Result("ws2", {"failed": True, "msg": "No module named json"})

    rows = check_report.rows([gone, crashed], "mlflow", [])

    assert [row.findings[0]["class"] for row in rows[:2]] == ["unreachable", "probe_failed"]
    assert "timed out" in rows[0].findings[0]["message"]
    assert check_report.errors(rows, "ws1") == ["unreachable on ws1"]


def test_table_shows_errors_first_and_each_remedy_once() -> None:
    results = [
        probe("ws1", finding(INFO, "indirect_path", "", user="alice"), finding(ERROR, user="alice")),
        probe("ws2", finding(ERROR, user="alice")),
    ]

    table = "\n".join(check_report.table(check_report.rows(results, "mlflow", [])))

    assert table.index("missing (error)") < table.index("indirect_path (info)")
    assert table.count("-> mount it") == 1
    assert table.count("-> as for alice on ws1") == 1
    assert "(server)" in table


def test_commands_are_never_broken_over_lines() -> None:
    command = "mount -t nfs " + "a-long-name-of-a-server.example.org:/srv/mlflow /mnt/mlflow"
    results = [
        probe("ws1", finding(ERROR, remedy=f"on the client, after all of this has been said and done: `{command}`"))
    ]

    lines = check_report.table(check_report.rows(results, "mlflow", []))

    assert any(f"`{command}`" in line for line in lines)


def test_json_holds_everything() -> None:
    rows = check_report.rows([probe("ws1", finding(ERROR, user="alice"))], "mlflow", [])

    report = check_report.as_json(rows, "mlflow", "/mnt/mlflow", ["0" * 16])

    assert report["rows"][0] == {
        "host": "ws1",
        "user": "alice",
        "server": False,
        "verdict": "failed",
        "findings": [finding(ERROR, user="alice")],
    }
    assert (report["version"], report["server"], report["artifact_root"]) == (1, "mlflow", "/mnt/mlflow")


def test_silence_about_a_user_is_no_proof() -> None:
    registered = {
        "users": ["alice", "bob", "carol", "dan"],
        "replies": [{"user": "alice"}],
        "findings": [finding(INFO, "indirect_path", user="bob"), finding(WARNING, "not_proved", user="dan")],
    }

    rows = check_report.rows([Result("ws1", registered, is_proof=True)], "mlflow", [])

    assert {row.user: row.verdict for row in rows if row.user} == {
        "alice": check_report.PROVED,
        "bob": check_report.FAILED,
        "carol": check_report.FAILED,
        "dan": check_report.WARNED,
    }
    assert check_report.errors(rows, "ws1") == ["not_proved for bob on ws1", "not_proved for carol on ws1"]


def test_replies_that_the_server_did_not_read_are_no_proof() -> None:
    registered = {"users": ["alice"], "replies": [{"user": "alice"}], "findings": [], "run": "a" * 16}
    proof = Result("ws1", registered, is_proof=True)

    assert check_report.unread(proof, {"a" * 16}) == proof
    rows = check_report.rows([check_report.unread(proof, {"b" * 16})], "mlflow", [])
    assert check_report.errors(rows, "ws1") == ["replies_not_read for alice on ws1"]
