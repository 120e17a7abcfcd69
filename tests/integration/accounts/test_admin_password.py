"""The administrator's password is the configuration's from the first moment on, whatever it was."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys

from ansible_collections.selfhosted.mlflow.plugins.module_utils.basic_auth import KNOWN_TO_ALL, read_ini
from tests.integration.accounts.conftest import FILES, FIRST, Site, ask

DEFAULT = ("admin", KNOWN_TO_ALL)
GIVEN = ("admin", FIRST)


def ready(variables: dict[str, str], url: str, experiment: str) -> subprocess.CompletedProcess[str]:
    """Ask whether the server is ready, and has an experiment."""
    command = [sys.executable, "-I", str(FILES / "mlflow-ready"), "--host-header", "localhost", "--deadline", "30"]
    given = {**variables, "MLFLOW_PORT": url.rpartition(":")[2]}
    command += ["--experiment", experiment]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False, timeout=60)


def hash_of(site: Site, password: str) -> str:
    program = "import sys; from werkzeug.security import generate_password_hash as made; print(made(sys.argv[1]))"
    command = [str(site.release.python), "-c", program, password]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_a_first_start_knows_only_the_given_password(site: Site) -> None:
    """And the accounts' file is for the service alone; readiness is asked as the administrator."""
    variables = site.configure(FIRST)
    old = os.umask(0o007)  # the unit's
    try:
        with site.serving(variables) as url:
            told = {who: ask(url, who)[0] for who in (None, DEFAULT, ("admin", "wrong password"), GIVEN)}
            there, missing = ready(variables, url, "0"), ready(variables, url, "17")
            # It can't see whether experiments are there, and lets the start go on.
            stale = ready(site.configure("not in force yet"), url, "17")
    finally:
        os.umask(old)

    assert told == {None: 401, DEFAULT: 401, ("admin", "wrong password"): 401, GIVEN: 200}
    assert oct(site.accounts.stat().st_mode & 0o777) == "0o640"
    assert (there.returncode, missing.returncode, stale.returncode) == (0, 1, 0)
    assert "MLflow has experiment 0" in there.stdout
    assert "status 401" in stale.stdout


def test_whatever_the_passwords_were_those_of_the_configuration_count(site: Site) -> None:
    """A server that was set up with the default password, which an administrator of another name has, too."""
    site.configure(FIRST)
    made = hash_of(site, KNOWN_TO_ALL)
    with contextlib.closing(sqlite3.connect(site.accounts)) as connection:
        site.make_tables()
        connection.execute("INSERT INTO users (username, password_hash, is_admin) VALUES ('admin', ?, 0)", (made,))
        connection.execute("INSERT INTO users (username, password_hash, is_admin) VALUES ('old', ?, 1)", (made,))
        connection.commit()
    variables = site.configure()

    assert sorted(site.set_password(variables).splitlines()) == [
        "MLflow's administrator admin has a new password",
        "MLflow's administrator old has a new password",
    ]
    assert site.set_password(variables) == ""
    with site.serving(variables) as url:
        assert [ask(url, who)[0] for who in (DEFAULT, ("old", KNOWN_TO_ALL), GIVEN)] == [401, 401, 200]

    with contextlib.closing(sqlite3.connect(site.accounts)) as connection:
        connection.execute("UPDATE users SET is_admin = 0 WHERE username = 'admin'")
        connection.commit()
    assert "new password" in site.set_password(variables)
    # Another one, and back, with nobody to know the one in force.
    assert "new password" in site.set_password(site.configure("second password"))
    assert site.set_password(site.configure()) == ""
    assert "new password" in site.set_password(site.configure(FIRST))


def test_a_password_that_is_made_stays(site: Site) -> None:
    first = site.configure()
    made = read_ini((site.root / "basic_auth.ini").read_text())["admin_password"]

    assert len(made) >= 12
    assert site.configure() == first
    assert read_ini((site.root / "basic_auth.ini").read_text())["admin_password"] == made
