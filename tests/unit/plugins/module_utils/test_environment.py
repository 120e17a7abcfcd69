from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import environment

PASSWORDS = ["plain", 'quo"te', "back\\slash", "$HOME", "`id`", "a#b", "p%40ss w0rd", "'single'", "é✓", "a\\$b"]


@pytest.mark.parametrize("value", PASSWORDS)
def test_a_shell_reads_what_was_written(value: str, tmp_path: Path) -> None:
    """The escapes are those of a shell's double quotes, which systemd takes as well."""
    file = tmp_path / "env"
    file.write_text(environment.render({"SECRET": value}))
    ran = subprocess.run(
        ["/bin/sh", "-c", '. "$1"; printf %s "$SECRET"', "sh", str(file)], check=True, capture_output=True, text=True
    )
    assert ran.stdout == value


def test_sorted_with_a_comment() -> None:
    text = environment.render({"B": 5000, "A": True, "C": None}, "one\n\ntwo")
    assert text == '# one\n#\n# two\nA="true"\nB="5000"\nC=""\n'


@pytest.mark.parametrize("name", ["", "1A", "A B", "A=B", "A-B", "A\nB"])
def test_names_that_can_not_be(name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name"):
        environment.render({name: "x"})


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
def test_values_of_several_lines_are_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ValueError, match="value of KEY") as caught:
        environment.render({"KEY": "hunter2" + value})
    assert "hunter2" not in str(caught.value)


def test_a_diff_shows_public_values_and_that_a_secret_changed() -> None:
    before = environment.render({"PORT": 1, "URI": "old", "SAME": "s3cret"})
    after = environment.render({"PORT": 2, "URI": "new", "SAME": "s3cret", "FRESH": "x"})
    assert environment.censor(after, before, {"PORT"}) == (
        'FRESH=(hidden)\nPORT="2"\nSAME=(hidden)\nURI=(hidden, changed)\n'
    )


def test_what_somebody_else_wrote_is_hidden() -> None:
    assert environment.censor("export TOKEN=hunter2\n", "", {"PORT"}) == "(hidden)\n"
    assert environment.censor("PORT=hunter2\n", "", {"PORT"}) == "(hidden)\n"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("A=1\nB = 2\n# C=3\n;D=4\n\nE\n1F=5\n", {"A": "1", "B": "2"}),
        ('A="x y"\nB=\'x "y"\'\nC=x y\n', {"A": "x y", "B": 'x "y"', "C": "x y"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=\nB=x=y\n", {"A": "", "B": "x=y"}),
        ("  A=1  \n", {"A": "1"}),
        ('A="x"y\nB=x\\ty\n', {"A": "xy", "B": "xty"}),
        ('A=x"y"\nB="x" "y"\nC=it\'s\n', {"A": 'x"y"', "B": "xy", "C": "it's"}),
        ('A="x\\ny"\n', {"A": "x\\ny"}),
        ("A=x\\\ny\nB=1\n", {"A": "xy", "B": "1"}),
    ],
)
def test_parse_reads_as_systemd_does(text: str, values: dict[str, str]) -> None:
    assert environment.parse(text) == values


@pytest.mark.parametrize("value", ["", "plain", 'a"b', "a\\b", "a`b", "a$b", "a'b", "# no comment", "p%40:/@", "ä ö"])
def test_parse_undoes_render(value: str) -> None:
    assert environment.parse(environment.render({"A": value}, "a comment")) == {"A": value}
