"""The main file that a candidate is tested with differs from nginx's own in that one file only."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.nginx_config import (
    OURS,
    NotIncludedError,
    with_candidate,
)

MAIN = """include /etc/nginx/modules-enabled/*.conf;
http {
    include mime.types;
    # include /etc/nginx/conf.d/*.conf;
    include {pattern};
    include /etc/nginx/sites-enabled/*;
}
"""


@pytest.mark.parametrize("pattern", ["/etc/nginx/conf.d/*.conf", "conf.d/*.conf", "conf.d/mlflow.conf", "conf.d/ml*"])
@pytest.mark.parametrize("there", [[], ["mlflow.conf"]])
def test_takes_the_place_of_the_file(pattern: str, there: list[str]) -> None:
    asked = []

    def files(wanted: str) -> list[str]:
        asked.append(wanted)
        return [f"/etc/nginx/conf.d/{name}" for name in ("zoo.conf", *there, "api.conf")]

    lines = with_candidate(MAIN.replace("{pattern}", pattern), "/etc/nginx", OURS, "/new", files).splitlines()

    assert asked == [f"/etc/nginx/{pattern.removeprefix('/etc/nginx/')}"]
    assert lines == [
        *MAIN.splitlines()[:4],
        "    include /etc/nginx/conf.d/api.conf;",
        "    include /new;",
        "    include /etc/nginx/conf.d/zoo.conf;",
        *MAIN.splitlines()[5:],
    ]


@pytest.mark.parametrize("pattern", ["conf.d/*.inc", "/etc/nginx/*.conf", "/etc/nginx/conf.d/*/*.conf"])
def test_says_when_no_include_takes_it_in(pattern: str) -> None:
    with pytest.raises(NotIncludedError):
        with_candidate(MAIN.replace("{pattern}", pattern), "/etc/nginx", OURS, "/new", lambda _pattern: [])
