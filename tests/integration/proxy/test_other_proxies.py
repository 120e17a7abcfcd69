"""What Caddy and Traefik are told: a real Caddy serves by it; of Traefik's the form is all that is looked at."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
from pathlib import Path

import yaml

from tests.integration.proxy.conftest import PREFIX
from tests.integration.proxy.site import NAME, free_port, listens, running, until
from tests.integration.proxy.test_proxy import Site

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
RULE = f"(Host(`{NAME}`)) && !PathPrefix(`/metrics`)"
ARTIFACT_RULE = f"{RULE} && PathPrefix(`{PREFIX}{ARTIFACTS}/`) && (Method(`GET`) || Method(`PUT`))"


def test_caddy_serves_by_its_snippet(site: Site, tmp_path: Path) -> None:
    one, port, plain, told = site[0], free_port(), free_port(), tmp_path / "Caddyfile"
    snippet = (one.scratch / "caddy").read_text().replace(f"{NAME}:{one.port}", f"{NAME}:{port}")
    told.write_text(f"{{\n\tadmin off\n\thttp_port {plain}\n}}\n{snippet}")
    environment = {**os.environ, "HOME": str(tmp_path)}
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(told)]
    with running(command, tmp_path / "log", env=environment):
        until(lambda: listens(port), "the start of Caddy")
        context = ssl.create_default_context(cafile=one.authority.file)
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", timeout=60)) as connection:
            connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=NAME)
            statuses = []
            # The server knows the site's own port, and so the name with that.
            for method, path, origin in (
                ("GET", f"{PREFIX}/health", ""),
                ("GET", "/", ""),
                ("GET", "/metrics", ""),
                ("POST", f"{PREFIX}/ajax-api/2.0/mlflow/experiments/search", "https://evil.example.org"),
                ("POST", f"{PREFIX}/ajax-api/2.0/mlflow/experiments/search", f"https://{NAME}:{one.port}"),
            ):
                headers = {"Host": f"{NAME}:{one.port}", "Content-Type": "application/json", "Origin": origin}
                connection.request(method, path, '{"max_results": 1}' if origin else None, headers)
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
            contents = []
            for method, body in (("PUT", b"of Caddy's"), ("GET", None), ("DELETE", None)):
                connection.request(method, f"{PREFIX}{ARTIFACTS}/caddy.txt", body, {"Host": f"{NAME}:{one.port}"})
                answer = connection.getresponse()
                contents.append(answer.read())
                statuses.append(answer.status)
    assert statuses == [200, 302, 404, 403, 200, 200, 200, 200], (tmp_path / "log").read_text()
    assert contents[1] == b"of Caddy's"
    # Where MLflow takes it part by part.
    assert f'"PUT {ARTIFACTS}/caddy.txt ' in (site[1].directory / f"{site[1].port}.log").read_text()


def test_caddy_finds_no_fault(site: Site) -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(site[0].scratch / "caddy")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_traefik_is_told_of_name_and_server(site: Site) -> None:
    one, server = site
    told = yaml.safe_load((one.scratch / "traefik").read_text())
    router, service = told["http"]["routers"]["mlflow"], told["http"]["services"]["mlflow"]["loadBalancer"]
    assert (router["rule"], router["service"]) == (RULE, "mlflow")
    artifacts = told["http"]["routers"]["mlflow-artifacts"]
    assert artifacts["rule"] == ARTIFACT_RULE
    (stripping,) = artifacts["middlewares"]
    assert told["http"]["middlewares"][stripping] == {"stripPrefix": {"prefixes": [PREFIX]}}
    assert service["servers"] == [{"url": f"http://127.0.0.1:{server.port}"}]
    assert service["healthCheck"]["path"] == f"{PREFIX}/health"
    assert [*map(Path, told["tls"]["certificates"][0].values())] == [
        one.authority.directory / name for name in ("good.pem", "good.key")
    ]


def test_labels_are_texts(site: Site) -> None:
    labels = yaml.safe_load((site[0].scratch / "traefik_labels").read_text())["labels"]
    assert {type(label) for label in labels.values()} == {str}
    assert labels["traefik.http.routers.mlflow.rule"] == RULE
    assert labels["traefik.http.routers.mlflow-artifacts.rule"] == ARTIFACT_RULE
    assert labels["traefik.http.services.mlflow.loadbalancer.server.port"] == str(site[1].port)
