"""What is sent to Nomad about a job."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils import nomad_job_api


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a", '"a"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("${x} %{y} $z", '"$${x} %%{y} $z"'),
        ("a\n\tä\x00", '"a\\n\\tä\\u0000"'),
        (True, "true"),
        (None, "null"),
        (3, "3"),
        (0.5, "0.5"),
        (["a", 1], '["a", 1]'),
        ({"a b": ["c"]}, '{"a b" = ["c"]}'),
    ],
)
def test_variables_are_written_as_hcl(value: Any, written: str) -> None:
    assert nomad_job_api.variables({"name": value}) == f"name = {written}\n"


@pytest.mark.parametrize("name", ["", "1a", "a b", "a = 1\nb"])
def test_odd_names_of_variables(name: str) -> None:
    with pytest.raises(ValueError, match="name of an HCL variable"):
        nomad_job_api.variables({name: "x"})
