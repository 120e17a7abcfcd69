"""Variables of stores that others have set on a client."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.stray_variables import problems


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("MLFLOW_S3_ENDPOINT_URL=http://minio:9000", ["MLFLOW_S3_ENDPOINT_URL"]),
        ("  export AWS_CA_BUNDLE=/etc/ca.pem\nAWS_ACCESS_KEY_ID=a", ["AWS_ACCESS_KEY_ID", "AWS_CA_BUNDLE"]),
        ("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=true", ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"]),
        ("# MLFLOW_S3_ENDPOINT_URL=http://minio:9000", []),
        ("MY_MLFLOW_S3_ENDPOINT_URL=x\nPATH=/bin\nMLFLOW_TRACKING_URI=http://x", []),
    ],
)
def test_found(text: str, found: list[str]) -> None:
    told = [*problems({"/etc/environment": text}, [])]
    assert [problem.found for problem in told] == [f"/etc/environment sets {name}" for name in found]
    assert "minio" not in str(told)


def test_says_what_it_stands_against() -> None:
    texts = {"/etc/environment": "AWS_CA_BUNDLE=x"}
    (ours,), (other,) = problems(texts, ["AWS_CA_BUNDLE"]), problems(texts, [])
    assert "stand against" in ours.why
    assert "otherwise than the server" in other.why
