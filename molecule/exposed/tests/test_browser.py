"""A person's check: Debian's Chromium, which trusts the site's authority, looks for what alice has logged."""

from __future__ import annotations

import os
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from testinfra.host import Host

from lab import requirements
from lab.base import LabError, Places, Progress

SECONDS = 60
SCREENSHOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"], ".cache/scenarios/exposed.png")
Open = Callable[..., webdriver.Chrome]


@pytest.fixture(scope="module", autouse=True)
def _chromium() -> None:
    """It is installed, or that can't be done here."""
    try:
        requirements.require(Places.from_environment(os.environ), "browser", Progress("browser"))
    except LabError as error:
        pytest.skip(f"SKIPPED: {error}")


@pytest.fixture
def browser(tmp_path: Path, site: Host, server_address: str) -> Iterator[Open]:
    """Start a browser that finds the site by its name; whether it trusts its authority is asked for."""
    with ExitStack() as stack:

        def start(trusting: bool = True) -> webdriver.Chrome:
            if trusting:
                (tmp_path / "ca.pem").write_text(site.file("/etc/mlflow-proxy/ca.pem").content_string)
                store = f"sql:{tmp_path}/.pki/nssdb"
                (tmp_path / ".pki/nssdb").mkdir(parents=True)
                subprocess.run(["certutil", "-d", store, "-N", "--empty-password"], check=True)
                trust = ["-A", "-n", "lab", "-t", "C,,", "-i", str(tmp_path / "ca.pem")]
                subprocess.run(["certutil", "-d", store, *trust], check=True)
            options = webdriver.ChromeOptions()
            options.binary_location = "/usr/bin/chromium"
            for option in (
                "headless=new",
                # Root has no sandbox of its own.
                "no-sandbox",
                "disable-dev-shm-usage",
                "window-size=1400,900",
                f"host-resolver-rules=MAP ml.lab.test {server_address}",
                "no-proxy-server",
            ):
                options.add_argument(f"--{option}")
            service = Service("/usr/bin/chromedriver", env={**os.environ, "HOME": str(tmp_path)})
            started = webdriver.Chrome(options=options, service=service)
            stack.callback(started.quit)
            started.set_page_load_timeout(SECONDS)
            return started

        yield start


def log_in(window: webdriver.Chrome, url: str, name: str, password: str) -> None:
    """Let the browser know an account, which a person would type into its dialog, and open the site."""
    scheme, _separator, rest = url.partition("://")
    window.get(f"{scheme}://{urllib.parse.quote(name, safe='')}:{urllib.parse.quote(password, safe='')}@{rest}/")
    # A page whose address has credentials may not fetch.
    window.get(f"{url}/")


def shown(window: webdriver.Chrome) -> str:
    return str(window.find_element(By.TAG_NAME, "body").text)


def wait_for(window: webdriver.Chrome, text: str) -> None:
    WebDriverWait(window, SECONDS).until(lambda _window: text in shown(window), text)


def test_a_person_finds_an_artifact(browser: Open, url: str, alice: tuple[str, str], run: dict[str, Any]) -> None:
    window = browser()
    log_in(window, url, *alice)
    wait_for(window, "exposed")
    experiment = Path(run["artifact_uri"]).parents[1].name
    window.get(f"{url}/#/experiments/{experiment}/runs/{run['run_id']}/artifacts")
    for name in ("result", "plots", "loss by epoch.csv"):
        wait_for(window, name)
        window.find_element(By.XPATH, f"//*[text()='{name}']").click()
    wait_for(window, "0.25")
    SCREENSHOT.parent.mkdir(parents=True, exist_ok=True)
    assert window.save_screenshot(str(SCREENSHOT))


def test_a_wrong_password_shows_nothing(browser: Open, url: str, alice: tuple[str, str], run: dict[str, Any]) -> None:
    window = browser()
    log_in(window, url, alice[0], "not hers")
    assert run["run_id"]
    assert "MLflow" not in window.title
    assert shown(window) == ""


def test_who_does_not_know_the_authority_is_warned(browser: Open, url: str) -> None:
    window = browser(trusting=False)
    window.get(f"{url}/")
    assert window.title == "Privacy error"
    assert "NET::ERR_CERT_AUTHORITY_INVALID" in shown(window)


def test_an_expired_certificate_is_warned_of(
    browser: Open, url: str, site: Host, replace: Callable[[int], None]
) -> None:
    replace(-1)
    try:
        window = browser()
        window.get(f"{url}/")
        assert window.title == "Privacy error"
        assert "NET::ERR_CERT_DATE_INVALID" in shown(window)
    finally:
        replace(90)
