"""Which artifact locations an experiment can be made with, and which two are the same place."""

from __future__ import annotations

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.experiment_location import LONGEST, problem, same

SHARED = ("/mnt/mlflow", "/srv/more")


@pytest.mark.parametrize(
    "location",
    [
        "/mnt/mlflow/churn",
        "/mnt/mlflow/team/7",
        "/srv/more/churn",
        "mlflow-artifacts:/churn",
        "mlflow-artifacts:/team/7",
        "s3://bucket",
        "s3://bucket/churn",
        "gs://bucket/churn",
        "wasbs://container@account.blob.core.windows.net/churn",
        "sftp://user@host:2222/srv/churn",
        "hdfs:///churn",
        "hdfs://namenode/churn",
        "dbfs:/churn",
        "/mnt/mlflow/" + "x" * (LONGEST - len("/mnt/mlflow/")),
    ],
)
def test_accepts(location: str) -> None:
    assert problem("'churn'", location, SHARED) is None


@pytest.mark.parametrize(
    ("location", "why", "instead"),
    [
        ("churn", "it is relative", "mlflow-artifacts:/NAME"),
        ("bucket/churn", "it is relative", "s3://BUCKET/NAME"),
        ("file:churn", "it is relative", "mlflow-artifacts:/NAME"),
        (" /mnt/mlflow/churn", "it is relative", "leave artifact_location out"),
        ("~/churn", "does not expand '~'", "leave artifact_location out"),
        ("C:\\churn", "a path of Windows", "leave artifact_location out"),
        ("a\nb", "a control character", "leave artifact_location out"),
        ("/", "the root directory", "leave artifact_location out"),
        ("FILE:///mnt/mlflow/churn", "in small letters only", "leave artifact_location out"),
        ("file://nas/churn", "does not fetch files from the host 'nas'", "leave artifact_location out"),
        ("runs:/17/churn", "names something that is stored elsewhere", "leave artifact_location out"),
        ("file:///mnt/mlflow/churn", "keep this spelling", "write /mnt/mlflow/churn"),
        ("/mnt/mlflow/churn/", "keep this spelling", "write /mnt/mlflow/churn"),
        ("/mnt/mlflow/../mlflow/churn", "keep this spelling", "write /mnt/mlflow/churn"),
        ("/mnt//mlflow/churn", "keep this spelling", "write /mnt/mlflow/churn"),
        ("/mnt/mlflow/a b", "it has a blank, or one of % ? # ; \\", "use letters"),
        ("/mnt/mlflow/a%20b", "it has a blank, or one of % ? # ; \\", "use letters"),
        ("/mnt/mlflow/a?b", "it has a blank, or one of % ? # ; \\", "use letters"),
        ("/tmp/churn", "/tmp is the system's", "in the artifact root"),
        ("/home/churn", "each on its own disk", "write /mnt/mlflow/NAME, or name the share's directory"),
        ("/mnt/mlflow2/churn", "each on its own disk", "write /mnt/mlflow/NAME, or name the share's directory"),
        ("/mnt/mlflow", "every other experiment's", "write /mnt/mlflow/NAME"),
        ("/srv/more/12", "gives the experiment 12 this place", "write /srv/more/NAME"),
        ("/mnt/mlflow/" + "x" * LONGEST, f"for runs of at most {LONGEST}", "a shorter one"),
        ("mlflow-artifacts:churn", "keep this spelling", "write mlflow-artifacts:/churn"),
        ("mlflow-artifacts:///churn", "keep this spelling", "write mlflow-artifacts:/churn"),
        ("mlflow-artifacts:/churn/", "keep this spelling", "write mlflow-artifacts:/churn"),
        ("mlflow-artifacts:/x/../churn", "keep this spelling", "write mlflow-artifacts:/churn"),
        ("mlflow-artifacts:/", "every other experiment's", "write mlflow-artifacts:/NAME"),
        ("mlflow-artifacts:/3", "gives the experiment 3 this place", "write mlflow-artifacts:/NAME"),
        ("mlflow-artifacts://host/churn", "it names a server", "without a host"),
        ("S3://bucket/churn", "keep this spelling", "write s3://bucket/churn"),
        ("s3://bucket/churn/", "keep this spelling", "write s3://bucket/churn"),
        ("s3://bucket/../churn", "keep this spelling", "write s3://bucket/churn"),
        ("s3:/bucket/churn", "no bucket or host after //", "write s3://BUCKET/NAME"),
        ("s3:///churn", "no bucket or host after //", "write s3://BUCKET/NAME"),
        ("s3://", "no bucket or host after //", "write s3://BUCKET/NAME"),
        ("s3://bucket/churn?signature=geheim", "it has a blank, or one of", "no query"),
        ("s3://bucket/churn#1", "it has a blank, or one of", "without them"),
        ("s4://bucket/churn", "MLflow has no store for s4:", "mend the scheme"),
        ("sftp://user:geheim@host/churn", "it has a password in it", "give the credentials to the server"),
    ],
)
def test_refuses(location: str, why: str, instead: str) -> None:
    found = problem("'churn'", location, SHARED)

    assert found is not None
    assert why in found.why
    assert instead in found.instead
    assert "'churn'" in found.found
    assert "geheim" not in str(found)


def test_without_a_share_a_path_is_refused() -> None:
    found = problem("'churn'", "/srv/mlflow/churn", ())

    assert found is not None
    assert "write mlflow-artifacts:/NAME" in found.instead


@pytest.mark.parametrize(
    ("wished", "stored", "expected"),
    [
        ("/srv/a", "/srv/a", True),
        ("/srv/a", "file:///srv/a/", True),
        ("/srv/a", "file:/srv/a", True),
        ("/srv/a", "/srv/ab", False),
        # A link on the way may lead elsewhere.
        ("/srv/a", "/srv/b/../a", False),
        ("/srv/a", "mlflow-artifacts:/a", False),
        ("mlflow-artifacts:/a", "mlflow-artifacts:/a/", True),
        ("mlflow-artifacts:/a", "mlflow-artifacts:/b", False),
        ("mlflow-artifacts:/a", "mlflow-artifacts://host/a", False),
        ("s3://b/a", "s3://b/a/", True),
        ("s3://b/a", "S3://b/a", True),
        ("s3://b/a", "s3://b/A", False),
        ("s3://b", "s3://b/", True),
        ("/srv/a", "", False),
    ],
)
def test_same(wished: str, stored: str, expected: bool) -> None:
    assert same(wished, stored) is expected
