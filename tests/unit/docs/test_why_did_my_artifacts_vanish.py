"""Whatever the check can report is explained where a user looks it up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.roles.role_files import ROLES
from tools import stage

PAGE = (stage.REPOSITORY / "docs" / "why-did-my-artifacts-vanish.md").read_text(encoding="utf-8")
ROW = re.compile(
    r'^\| <a id="(?P<anchor>\w+)"></a>`(?P<name>\w+)` \| (?P<severity>[^|]+) \| (?P<text>[^|]+) \|$', re.MULTILINE
)
#: What carries a class as its first argument, in the plugins and in the script.
CARRIERS = ("Finding", "ApiError")
SCRIPT = ROLES / "mlflow_artifact_check" / "files" / "mlflow-artifact-watch"
SOURCES = sorted((stage.REPOSITORY / "plugins").rglob("*.py"))


def carried(path: Path, *carriers: str) -> Iterator[ast.expr]:
    """Yield the first argument of whatever carries a class."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in carriers:
            yield from node.args[:1]
            yield from (keyword.value for keyword in node.keywords if keyword.arg in ("name", "reason"))


def reported() -> set[str]:
    found = [one for path in SOURCES for one in carried(path, *CARRIERS)] + list(carried(SCRIPT, "Verdict"))
    return {str(one.value) for one in found if isinstance(one, ast.Constant)} - {"ok"}


def test_there_are_classes() -> None:
    assert {"missing", "local_directory", "server_silent", "stored_elsewhere", "api_refused"} <= reported()


def test_no_class_is_made_up_at_run_time() -> None:
    """Only an error that is turned into a finding hands its name on."""
    odd = [
        ast.unparse(one) for path in SOURCES for one in carried(path, *CARRIERS) if not isinstance(one, ast.Constant)
    ]
    assert set(odd) <= {"self.name"}


def test_every_class_is_explained_once() -> None:
    explained = [match["name"] for match in ROW.finditer(PAGE)]
    assert sorted(explained) == sorted(set(explained))
    assert set(explained) == reported()


def test_every_row_can_be_linked_to() -> None:
    assert [match["name"] for match in ROW.finditer(PAGE) if match["anchor"] != match["name"]] == []
    assert PAGE.count('<a id="') == len(ROW.findall(PAGE))


def test_links_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    anchors = headings | {match["anchor"] for match in ROW.finditer(PAGE)}
    assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors


@pytest.mark.parametrize(
    "text",
    [
        "OSError: [Errno 30] Read-only file system",
        "PermissionError: [Errno 13] Permission denied",
        "FileNotFoundError: [Errno 2] No such file or directory",
        "OSError: [Errno 116] Stale file handle",
        "OSError: [Errno 28] No space left on device",
        "OSError: [Errno 122] Disk quota exceeded",
        "403 Invalid Host header - possible DNS rebinding attack detected",
        "artifact tab is empty",
        "state D",
    ],
)
def test_symptoms_are_found_by_their_text(text: str) -> None:
    symptoms = PAGE.partition("## From the symptom")[2].partition("\n## ")[0]
    assert text in symptoms
