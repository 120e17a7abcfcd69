"""Each row is a store that is refused, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store_kinds import Setting
from ansible_collections.selfhosted.mlflow.plugins.module_utils.artifact_store_rules import problems

BUCKET = {"uri": "s3://bucket/mlflow"}
BLOB = {"uri": "wasbs://c@account.blob.core.windows.net/mlflow"}
LAKE = {"uri": "abfss://f@account.dfs.core.windows.net/mlflow"}
GOOGLE = {"uri": "gs://bucket/mlflow"}
SFTP = {
    "uri": "sftp://nas.example.org/srv/mlflow",
    "user": "mlflow",
    "private_key": "/etc/mlflow/id_rsa",
    "known_hosts": ["nas.example.org ssh-ed25519 AAAA"],
}
FTP = {"uri": "ftp://nas.example.org/srv/mlflow"}
HDFS = {"uri": "hdfs://name.example.org:8020/mlflow"}
KEY = {"access_key": "AKIA", "secret_key": "hush"}

REFUSED: list[tuple[dict[str, Any], Setting, str, str, str]] = [
    ({"url": "s3://bucket"}, Setting(), "it has url", "say nothing", "README"),
    ({**BUCKET, "region": 1}, Setting(), "region is not a text", "say nothing", "README"),
    ({**GOOGLE, "upload_chunk_size": "262144"}, Setting(), "upload_chunk_size is not a number", "", "README"),
    ({**GOOGLE, "upload_chunk_size": True}, Setting(), "upload_chunk_size is not a number", "", "README"),
    ({**BUCKET, "ignore_tls": "yes"}, Setting(), "ignore_tls is not true or false", "", "README"),
    ({**SFTP, "known_hosts": "a line"}, Setting(), "known_hosts is not a list", "", "README"),
    ({**BUCKET, "upload_extra_args": "{}"}, Setting(), "upload_extra_args is not a dictionary", "", "README"),
    (KEY, Setting(), "access_key, secret_key and no uri", "which store", "write mlflow_server_artifact_store.uri"),
    ({"uri": "/srv/mlflow"}, Setting(), "'/srv/mlflow'", "a directory", "mlflow_artifact_root"),
    ({"uri": "file:///srv/mlflow"}, Setting(), "'file:///srv/mlflow'", "a directory", "mlflow_artifact_root"),
    ({"uri": "bucket/mlflow"}, Setting(), "'bucket/mlflow'", "no scheme", "s3://BUCKET/PATH"),
    ({"uri": "s3:/bucket/mlflow"}, Setting(), "'s3:/bucket/mlflow'", "no scheme", "s3://BUCKET/PATH"),
    ({"uri": "wasb://c@a.blob.core.windows.net"}, Setting(), "wasb", "no store wasb://", "wasbs://"),
    ({"uri": "https://s3.example.org/bucket"}, Setting(), "https", "no store https://", "as endpoint_url"),
    ({"uri": "swift://bucket"}, Setting(), "swift", "no store swift://", "write one of s3, wasbs"),
    ({"uri": "S3://bucket"}, Setting(), "S3://", "as texts", "small letters"),
    ({"uri": "s3://bucket/my runs"}, Setting(), "my runs", "blanks", "letters, digits"),
    ({"uri": "s3://bucket/my%20runs"}, Setting(), "my%20runs", "escapes", "letters, digits"),
    ({"uri": "s3://AKIA:hush@bucket/mlflow"}, Setting(), "a user name or a password", "each experiment", "access_key"),
    ({**SFTP, "uri": "sftp://u@nas.example.org/m"}, Setting(), "a user name", "each experiment", "private_key"),
    ({"uri": "wasbs://c@account.example.org/m"}, Setting(), "account.example.org", "one form", "connection_string"),
    ({"uri": "abfss://account/m"}, Setting(), "abfss://account", "no file system", "FILESYSTEM@ACCOUNT"),
    ({"uri": "s3://minio:9000/bucket"}, Setting(), "minio:9000", "the bucket's name", "endpoint_url"),
    ({"uri": "s3://s3.eu-west-1.amazonaws.com/b"}, Setting(), "amazonaws", "the bucket's name", "s3://BUCKET/PATH"),
    (
        {"uri": "s3://s3.example.org/b", "endpoint_url": "https://s3.example.org"},
        *(Setting(), "s3.example.org/b", "once more", "s3://BUCKET/PATH"),
    ),
    ({"uri": "s3:///mlflow"}, Setting(), "s3:///mlflow", "", "s3://BUCKET/PATH"),
    ({**SFTP, "uri": "sftp:///srv"}, Setting(), "sftp:///srv", "names no host", "sftp://HOST/PATH"),
    ({"uri": "hdfs://a_b:c/mlflow"}, Setting(), "a_b:c", "host is none", "core-site.xml"),
    ({"uri": "s3://bucket/mlflow?x=1"}, Setting(), "x=1", "passes over", "leave it out"),
    ({"uri": "s3://bucket/a/../b"}, Setting(), "a/../b", "shorter", "s3://bucket/b"),
    ({"uri": "s3://bucket//b"}, Setting(), "bucket//b", "shorter", "s3://bucket/b"),
    ({"uri": "ftp://nas.example.org/"}, Setting(), "ftp://nas", "whole tree", "/mlflow"),
    ({**GOOGLE, "region": "x"}, Setting(), "has region", "no use", "credentials_file"),
    ({**BUCKET, "access": "both"}, Setting(), "'both'", "write to the store", "proxied or direct"),
    ({**BUCKET, "access": "proxied"}, Setting(access="direct"), "mlflow_artifact_access direct", "", "one of them"),
    (BUCKET, Setting(mount_point="/mnt/mlflow"), "/mnt/mlflow", "in one place", "mlflow_nfs_share"),
    ({**FTP, "user": "u", "password": "p", "access": "direct"}, Setting(), "access is direct", "shown", "proxied"),
    (
        {**BUCKET, "access": "direct", "endpoint_url": "http://127.0.0.1:9000"},
        Setting(clients={"gpu1": {"uri": "s3://bucket/mlflow"}}),
        *("127.0.0.1", "each of them", "by which all hosts"),
    ),
    (
        {**BUCKET, "multipart": True, "endpoint_url": "http://localhost:9000"},
        Setting(clients={"gpu1": {}}),
        *("localhost", "each of them", "without multipart"),
    ),
    (
        {**BUCKET, **KEY, "access": "direct"},
        Setting(clients={"gpu1": {}, "gpu2": BUCKET}),
        *("gpu1 has no store, gpu2 lacks access_key, secret_key", "driver and credentials", "for all hosts"),
    ),
    (
        {**BUCKET, "access": "direct"},
        Setting(clients={"gpu1": {**BUCKET, "access": "proxied"}}),
        *("gpu1 has access proxied", "of its own", "for all hosts"),
    ),
    ({**FTP, "multipart": True}, Setting(), "multipart is true", "past it", "leave it out"),
    ({**BUCKET, "multipart": True, "access": "direct"}, Setting(), "direct access", "past it", "by itself"),
    ({**BUCKET, "multipart_chunk_size": 10485760}, Setting(), "without multipart", "nothing", "multipart: true"),
    ({**BUCKET, "multipart": True, "multipart_chunk_size": 1048576}, Setting(), "1048576", "5 MiB", "5242880"),
    ({**BUCKET, "multipart": True, "multipart_minimum_size": -1}, Setting(), "-1", "bytes", "1 or more"),
    ({**BUCKET, "timeout": 60}, Setting(), "timeout is 60", "no deadline to s3", "leave it out"),
    ({**BLOB, "timeout": -1}, Setting(), "timeout is -1", "seconds", "1 or more"),
    ({**GOOGLE, "timeout": -2}, Setting(), "timeout is -2", "seconds", "-1 for no limit"),
    ({**GOOGLE, "credentials_file": "key.json"}, Setting(), "'key.json'", "absolute", "from the root on"),
    ({**BUCKET, **KEY, "secret_key": "hush\n"}, Setting(), "secret_key", "part of the secret", "trim"),
    (
        {**BUCKET, **KEY, "secret_key": "hu$h", "access": "direct"},
        *(Setting(in_shells=True), "secret_key has a quote", "shells", "another one"),
    ),
    (
        BUCKET,
        Setting(environment_names=("MLFLOW_S3_ENDPOINT_URL",)),
        *("MLFLOW_S3_ENDPOINT_URL", "contradict", "mlflow_server_artifact_store.endpoint_url"),
    ),
    ({**BUCKET, "ignore_tls": True, "ca_bundle": "/ca.pem"}, Setting(), "both ignore_tls", "", "leave ignore_tls out"),
    ({**BUCKET, "access_key": "AKIA"}, Setting(), "access_key alone", "pair", "write both"),
    ({**BUCKET, "session_token": "t"}, Setting(), "session_token alone", "pair", "write both"),
    ({**BUCKET, "addressing_style": "host"}, Setting(), "'host'", "in the path", "virtual"),
    ({**BUCKET, "bucket_owner": "me"}, Setting(), "'me'", "12 digits", "write them"),
    ({**BUCKET, "upload_extra_args": {"KMS": "x"}}, Setting(), "has KMS", "boto3", "SSEKMSKeyId"),
    ({**BUCKET, "endpoint_url": "s3.example.org"}, Setting(), "'s3.example.org'", "HTTP", "https://"),
    ({**BUCKET, "endpoint_url": "https://a:b@s3.example.org"}, Setting(), "a password", "key", "access_key"),
    ({**BUCKET, "endpoint_url": "https://s3.example.org/bucket"}, Setting(), "/bucket", "twice", ".uri"),
    ({**BUCKET, "endpoint_url": "https://bucket.s3.example.org"}, Setting(), "bucket.s3", "once more", "virtual"),
    (
        {**BUCKET, "endpoint_url": "http://s3.example.org", "ca_bundle": "/ca.pem"},
        *(Setting(), "ca_bundle", "without https", "leave ca_bundle out"),
    ),
    ({**BLOB, "sas_token": "sig"}, Setting(), "sas_token", "does not read it", "connection_string"),
    ({**LAKE, "account_key": "AAAA"}, Setting(), "account_key", "does not read it", "sas_token"),
    (
        {**BLOB, "account_key": "AAAA", "connection_string": "AccountName=account;AccountKey=AAAA"},
        *(Setting(), "account_key and connection_string", "pass over", "leave one out"),
    ),
    ({**BLOB, "account_key": "häsh"}, Setting(), "account_key", "an account's key is", "copy it"),
    ({**BLOB, "connection_string": "AccountName=account"}, Setting(), "neither AccountKey", "nobody", "copy"),
    (
        {**BLOB, "connection_string": "AccountName=other;AccountKey=AAAA"},
        *(Setting(), "of the account other", "the latter", "the same account"),
    ),
    ({**GOOGLE, "upload_chunk_size": 1000000}, Setting(), "1000000", "256 KiB", "write 1048576"),
    ({**GOOGLE, "download_chunk_size": -262144}, Setting(), "-262144", "256 KiB", "write 262144"),
    ({**SFTP, "password": "p", "private_key": ""}, Setting(), "has a password", "less harm", "allow_password"),
    ({**SFTP, "allow_password": True}, Setting(), "allow_password without", "nothing", "leave it out"),
    ({**SFTP, "password": "p", "allow_password": True}, Setting(), "both password", "pass over", "leave one out"),
    ({**SFTP, "private_key": ""}, Setting(), "neither private_key", "log in", "RSA key"),
    (
        {**SFTP, "private_key": "", "password": "a/b", "allow_password": True},
        *(Setting(), "must escape", "another password", "better a key"),
    ),
    ({**SFTP, "user": ""}, Setting(), "user is ''", "logs in", "account's name"),
    ({**SFTP, "known_hosts": []}, Setting(), "no key of nas.example.org", "does not find", "ssh-keyscan"),
    (
        {**SFTP, "known_hosts": ["[nas.example.org]:2222 ssh-rsa AAAA"]},
        *(Setting(), "with its port only", "without a port", "ssh-keyscan"),
    ),
    ({**FTP, "password": "p"}, Setting(), "no user", "anonymous", "user"),
    ({**FTP, "user": "a@b"}, Setting(), "'a@b'", "unescape", "letters, digits"),
    ({**HDFS, "extra_conf": {"a": "b,c"}}, Setting(), "in a", "commas", "core-site.xml"),
]


@pytest.mark.parametrize(
    ("given", "setting", "found", "why", "instead"), REFUSED, ids=[f"{row[0].get('uri')}-{row[2]}" for row in REFUSED]
)
def test_refuses(given: dict[str, Any], setting: Setting, found: str, why: str, instead: str) -> None:
    (problem,) = problems(given, setting)
    assert found in problem.found
    assert why in problem.why
    assert instead in problem.instead


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({}, Setting(mount_point="/mnt/mlflow")),
        (BUCKET, Setting()),
        ({"uri": "s3://bucket/"}, Setting()),
        (BUCKET, Setting(access="direct")),
        ({**BUCKET, **KEY, "session_token": "t", "region": "eu-west-1"}, Setting(access="proxied")),
        ({**BUCKET, "endpoint_url": "https://s3.example.org:9000/", "ca_bundle": "/etc/ssl/ca.pem"}, Setting()),
        ({**BUCKET, "endpoint_url": "http://127.0.0.1:9000"}, Setting(clients={"gpu1": {}})),
        ({**BUCKET, **KEY, "access": "direct"}, Setting(clients={"gpu1": {**BUCKET, **KEY}})),
        ({**BUCKET, "multipart": True, "multipart_chunk_size": 5242880, "multipart_minimum_size": 1}, Setting()),
        ({**BUCKET, "upload_extra_args": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}}, Setting()),
        ({**BUCKET, **KEY, "secret_key": "hu$h"}, Setting(in_shells=True)),
        (BUCKET, Setting(environment_names=("STORAGE_EMULATOR_HOST",))),
        ({**BLOB, "connection_string": "AccountName=account;AccountKey=AAAA;BlobEndpoint=http://h"}, Setting()),
        ({**BLOB, "account_key": "AAAA", "timeout": 60}, Setting()),
        ({**LAKE, "sas_token": "sig"}, Setting()),
        ({**GOOGLE, "credentials_file": "/etc/mlflow/key.json", "timeout": -1}, Setting()),
        ({**GOOGLE, "upload_chunk_size": 262144, "download_chunk_size": 524288}, Setting()),
        (SFTP, Setting()),
        ({**SFTP, "uri": "sftp://nas.example.org:2222/srv/mlflow"}, Setting()),
        ({**SFTP, "private_key": "", "password": "a-b", "allow_password": True}, Setting()),
        ({**SFTP, "known_hosts": ["|1|salt|hash ssh-rsa AAAA"]}, Setting()),
        ({"uri": "sftp://nas.example.org/srv/mlflow", "access": "direct"}, Setting(in_shells=True)),
        (FTP, Setting()),
        ({**FTP, "user": "u", "password": "p@/ä"}, Setting()),
        ({**HDFS, "user": "u", "extra_conf": {"dfs.replication": "2"}}, Setting()),
        ({"uri": "hdfs:///mlflow", "kerberos_ticket_cache": "/tmp/krb5cc_850"}, Setting()),
    ],
)
def test_accepts(given: dict[str, Any], setting: Setting) -> None:
    assert problems(given, setting) == []


def test_no_secret_is_told() -> None:
    """Whatever else is wrong with a store."""
    for part in (
        "access_key",
        "secret_key",
        "session_token",
        "connection_string",
        "account_key",
        "sas_token",
        "password",
    ):
        for store in (BUCKET, BLOB, LAKE, GOOGLE, SFTP, FTP, HDFS, {"uri": "/srv"}, {}):
            for value in ("planted secret$\n", "planted", 7, ["planted"]):
                told = " ".join(map(str, problems({**store, part: value}, Setting(in_shells=True, access="direct"))))
                assert "planted" not in told
