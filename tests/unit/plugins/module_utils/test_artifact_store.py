"""What follows from an artifact store."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.filter.artifact_store import artifact_store
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store import (
    client_environment,
    environment,
    parse,
    ssh_config,
)

S3 = {
    "uri": "s3://bucket/mlflow/",
    "endpoint_url": "https://s3.example.org",
    "region": "eu-west-1",
    "ca_bundle": "/etc/ssl/ca.pem",
    "upload_extra_args": {"SSEKMSKeyId": "k", "ServerSideEncryption": "aws:kms"},
    "access_key": "AKIA",
    "secret_key": "hush",
}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {}),
        (
            S3,
            {
                "MLFLOW_S3_ENDPOINT_URL": "https://s3.example.org",
                "AWS_DEFAULT_REGION": "eu-west-1",
                "AWS_CA_BUNDLE": "/etc/ssl/ca.pem",
                "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"SSEKMSKeyId": "k", "ServerSideEncryption": "aws:kms"}',
                "AWS_ACCESS_KEY_ID": "AKIA",
                "AWS_SECRET_ACCESS_KEY": "hush",
            },
        ),
        (
            {
                "uri": "s3://b",
                "ignore_tls": True,
                "addressing_style": "path",
                "bucket_owner": "1",
                "session_token": "t",
            },
            {
                "MLFLOW_S3_IGNORE_TLS": "true",
                "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "path",
                "MLFLOW_S3_EXPECTED_BUCKET_OWNER": "1",
                "AWS_SESSION_TOKEN": "t",
            },
        ),
        (
            {"uri": "wasbs://c@a.blob.core.windows.net", "connection_string": "c", "timeout": 9},
            {"AZURE_STORAGE_CONNECTION_STRING": "c", "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "9"},
        ),
        ({"uri": "wasbs://c@a.blob.core.windows.net", "account_key": "k"}, {"AZURE_STORAGE_ACCESS_KEY": "k"}),
        ({"uri": "abfss://c@a.dfs.core.windows.net", "sas_token": "k"}, {"AZURE_STORAGE_SAS_TOKEN": "k"}),
        (
            {
                "uri": "gs://b",
                "credentials_file": "/k",
                "upload_chunk_size": 1,
                "download_chunk_size": 2,
                "timeout": -1,
            },
            {
                "GOOGLE_APPLICATION_CREDENTIALS": "/k",
                "MLFLOW_GCS_UPLOAD_CHUNK_SIZE": "1",
                "MLFLOW_GCS_DOWNLOAD_CHUNK_SIZE": "2",
                "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "-1",
            },
        ),
        ({"uri": "sftp://h/p", "user": "u", "password": "p"}, {}),
        (
            {"uri": "hdfs://h/p", "user": "u", "kerberos_ticket_cache": "/t", "extra_conf": {"a": "b", "c": 2}},
            {
                "MLFLOW_KERBEROS_USER": "u",
                "MLFLOW_KERBEROS_TICKET_CACHE": "/t",
                "MLFLOW_PYARROW_EXTRA_CONF": "a=b,c=2",
            },
        ),
    ],
)
def test_environment(given: dict[str, Any], told: dict[str, str]) -> None:
    assert environment(parse(given)) == told
    assert client_environment(parse({**given, "access": "direct"})) == told


UP, DOWN = "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (S3, {UP: "false", DOWN: "false"}),
        ({"uri": "sftp://h/p"}, {}),
        ({"uri": "hdfs://h/p", "user": "u"}, {}),
        (
            {"uri": "gs://b", "multipart": True, "multipart_minimum_size": 5, "multipart_chunk_size": 6},
            {
                UP: "true",
                DOWN: "true",
                "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "5",
                "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "6",
                "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "6",
            },
        ),
        (
            {"uri": "s3://b", "multipart": True, "ignore_tls": True},
            {UP: "true", DOWN: "true", "MLFLOW_S3_IGNORE_TLS": "true"},
        ),
    ],
)
def test_environment_of_a_client_that_asks_the_server(given: dict[str, Any], told: dict[str, str]) -> None:
    """A client goes past the server only when it is told to, and never has the server's credentials."""
    assert client_environment(parse(given)) == told


@pytest.mark.parametrize(
    ("given", "address", "secret"),
    [
        ({"uri": "s3://bucket/mlflow/"}, "s3://bucket/mlflow", False),
        ({"uri": "ftp://h:2121/p"}, "ftp://h:2121/p", False),
        ({"uri": "ftp://h/h", "user": "u"}, "ftp://u@h/h", True),
        ({"uri": "ftp://h:2121/p", "user": "u", "password": "p@ß"}, "ftp://u:p%40%C3%9F@h:2121/p", True),
        ({"uri": "sftp://h/p", "user": "u", "password": "a-b"}, "sftp://u:a-b@h/p", True),
        ({"uri": "sftp://h/p", "user": "u", "private_key": "/k"}, "sftp://h/p", False),
    ],
)
def test_destination(given: dict[str, Any], address: str, secret: bool) -> None:
    assert artifact_store(given)["destination"] == {"address": address, "secret": secret}
    assert "@" not in artifact_store(given)["root"]


def test_secrets_are_kept_apart() -> None:
    made = artifact_store(S3)
    assert made["server"]["secrets"] == {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush"}
    assert "hush" not in str(made["server"]["variables"])
    assert made["client"]["secrets"] == {}


@pytest.mark.parametrize(
    ("uri", "access", "driver", "client_driver", "deletes"),
    [
        ("s3://b", "proxied", "s3", "", True),
        ("s3://b", "direct", "s3", "s3", True),
        ("wasbs://c@a.blob.core.windows.net", "direct", "azure", "azure", True),
        ("abfss://c@a.dfs.core.windows.net", "direct", "azure", "azure", False),
        ("gs://b", "direct", "gcs", "gcs", True),
        ("sftp://h/p", "direct", "sftp", "sftp", True),
        ("ftp://h/p", "direct", "", "", False),
        ("hdfs://h/p", "direct", "", "hdfs", True),
        ("hdfs://h/p", "proxied", "", "", True),
    ],
)
def test_drivers(uri: str, access: str, driver: str, client_driver: str, deletes: bool) -> None:
    made = artifact_store({"uri": uri}, access)
    assert (made["driver"], made["client_driver"], made["deletes"]) == (driver, client_driver, deletes)


@pytest.mark.parametrize(
    "wrong", [{}, {"uri": 7}, {"url": "s3://b"}, {"uri": "sftp://[/x", "user": "u"}, "s3://b", None]
)
def test_what_is_wrong_makes_nothing(wrong: Any) -> None:
    """So that templates can be made of it until the preflight speaks."""
    made = artifact_store(wrong)
    assert (made["kind"], made["root"], made["driver"], made["server"]) == (
        "",
        "",
        "",
        {"variables": {}, "secrets": {}},
    )


def test_ssh_config() -> None:
    given = {"uri": "sftp://NAS.example.org:2222/p", "user": "u", "private_key": "/etc/mlflow/id_rsa"}
    assert ssh_config(parse(given)) == "Host nas.example.org\n    User u\n    IdentityFile /etc/mlflow/id_rsa\n"
    assert ssh_config(parse({"uri": "s3://b"})) == ""
    with_password = {"uri": "sftp://h/p", "user": "u", "password": "p"}
    assert ssh_config(parse(with_password)) == ""
